"""Requests made from the API's own document: none of them may make the server fail, and answers have the promised
shape.
"""

import asyncio

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.room import open_room

CHECKS = [not_a_server_error, response_schema_conformance, status_code_conformance, content_type_conformance]
BOUNDED = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _is_probed(responses: dict) -> bool:
    """Streams of events have no end."""
    return "501" not in responses and "text/event-stream" not in responses["200"].get("content", {})


def _probe(url: str) -> int:
    """The number of operations probed."""
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    supported = [operation for operation in operations if _is_probed(operation.definition.raw["responses"])]
    for operation in supported:

        @given(case=operation.as_strategy())
        @BOUNDED
        def probe(case):
            case.call_and_validate(checks=CHECKS, timeout=10)

        probe()
    return len(supported)


async def test_requests_made_from_the_document(tmp_path):
    async with open_room(tmp_path) as room:
        await room.submit(Name="known")
        assert await asyncio.to_thread(_probe, room.url) >= 14
