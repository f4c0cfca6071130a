"""Async tests run on asyncio alone; generated cases may take the time that a busy machine needs."""

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.docker", "tests.support.s3", "tests.support.stores", "tests.support.clouds"]


settings.register_profile("tests", deadline=5000)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
