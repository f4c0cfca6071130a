"""Async tests run on asyncio alone."""

import pytest

pytest_plugins = ["tests.support.docker", "tests.support.s3"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
