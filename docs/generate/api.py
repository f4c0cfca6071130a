"""The page of the HTTP API, made from the OpenAPI document that a server gives."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import httpx

from bacalhau.api.app import make_app
from generate.tables import cell, code, table

HEAD = """# HTTP API

This page is made from the document that every server gives at `/api/v1/openapi.json`. Programs read that one: it also holds the
shape of every answer.

Names of fields are read in any case. Every failure has the same shape:
`{Status, Message, Code, Component, Hint, RequestID}`; [Error codes](errors.md) says what the codes mean. Lists have `Items` and `NextToken`,
which leads to the next page. `wait=SECONDS` on a job and on its history lets the request wait for news.

[Users and single sign-on](../how-to/users.md) says how to send credentials.
"""
_METHODS = ("get", "put", "post", "delete", "patch")


def page() -> str:
    """Return the page: a section for each path, in the order of their names."""
    document = asyncio.run(_document())
    return HEAD + "".join(_section(path, found, document) for path, found in sorted(document["paths"].items()))


async def _document() -> dict[str, Any]:
    """Ask the application itself. No route is called, so it needs no orchestrator."""
    transport = httpx.ASGITransport(cast(Any, make_app(cast(Any, None))))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/api/v1/openapi.json")
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


def _section(path: str, operations: dict[str, Any], document: dict[str, Any]) -> str:
    shown = [_operation(method, path, operations[method], document) for method in _METHODS if method in operations]
    return "".join(shown)


def _operation(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    words = cell(operation.get("description") or operation.get("summary") or "").replace("\\|", "|")
    parts = [f"\n## {method.upper()} {path}\n", f"{words}\n", *_body(operation), *_answer(operation)]
    if rows := [*_parameters(operation)]:
        parts.append(table(["parameter", "where", "type"], rows))
    return "\n".join(parts)


def _parameters(operation: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for parameter in operation.get("parameters", []):
        yield code(parameter["name"]), parameter["in"], _kind(parameter.get("schema", {}))


def _body(operation: dict[str, Any]) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    for media, found in content.items():
        yield f"Body: `{_kind(found['schema'])}` as `{media}`.\n"


def _answer(operation: dict[str, Any]) -> Iterator[str]:
    for status, answer in operation.get("responses", {}).items():
        kinds = {_kind(found.get("schema", {})) for found in answer.get("content", {}).values()}
        if status.startswith("2") and kinds:
            yield f"Answer {status}: {', '.join(code(kind) for kind in sorted(kinds))}.\n"


def _kind(schema: dict[str, Any]) -> str:
    """Say the type of a schema in few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    choices = [_kind(found) for found in schema.get("anyOf", schema.get("oneOf", []))]
    kind = schema.get("type", "any")
    return (
        " or ".join(dict.fromkeys(choices)) if choices else " or ".join(kind) if isinstance(kind, list) else str(kind)
    )
