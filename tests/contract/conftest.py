"""Fixtures that several suites of adapters share."""

from collections.abc import AsyncIterator

import pytest

from bacalhau.plugins.s3.publisher import S3Publisher
from bacalhau.plugins.s3.source import S3Source
from tests.support.answering import Server, listening


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server whose answers the test writes."""
    async with listening(Server()) as made:
        yield made


@pytest.fixture
async def source() -> AsyncIterator[S3Source]:
    made = S3Source()
    yield made
    await made.close()


@pytest.fixture
async def publisher() -> AsyncIterator[S3Publisher]:
    made = S3Publisher()
    yield made
    await made.close()
