"""Requests made from the API's own document by schemathesis: right ones, and ones that the document forbids."""

from contextlib import suppress

import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.search import Search
from tests.fuzz.target import Target

CHECKS = [not_a_server_error, response_schema_conformance, status_code_conformance, content_type_conformance]
# A request that the document forbids may be one that the server reads kindly: an empty value is "not given".
_MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def _is_probed(responses: dict) -> bool:
    """Streams of events have no end."""
    return "501" not in responses and "text/event-stream" not in responses["200"].get("content", {})


def knock(target: Target, search: Search) -> int:
    """Probe every operation, and return how many there were."""
    schema = schemathesis.openapi.from_url(f"{target.url}/api/v1/openapi.json", headers=target.headers)
    operations = [found.ok() for found in schema.get_all_operations()]
    probed = [operation for operation in operations if _is_probed(operation.definition.raw["responses"])]
    for operation in probed:
        for mode in _MODES:
            _probe(target, search, operation.as_strategy(generation_mode=mode))
    target.check()
    return len(probed)


def _probe(target: Target, search: Search, cases) -> None:
    def holds(case) -> None:
        case.call_and_validate(checks=CHECKS, timeout=20, headers=target.headers)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        search.run(holds, cases, share=0.02)
