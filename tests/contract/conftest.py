"""Fixtures that several suites of adapters share."""

from collections.abc import AsyncIterator

import pytest

from tests.support.answering import Server, listening


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server whose answers the test writes."""
    async with listening(Server()) as made:
        yield made
