"""The OpenAPI document: Litestar knows paths and answers; query parameters, bodies and errors are added from the
routes' own structs.
"""

from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from bacalhau.models.node.version import BuildVersion
from bacalhau.models.wire.api import ErrorBody

_REF = "#/components/schemas/{name}"


class _Document(JsonRenderPlugin):
    """The document alone, made once; no pages that need a network."""

    def __init__(self) -> None:
        super().__init__(path="/")
        self._made: bytes = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if not self._made:
            self._made = msgspec.json.encode(_completed(request.app, openapi_schema)) + b"\n"
        return self._made


def openapi_config(version: BuildVersion) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Bacalhau",
        version=version.git_version,
        path="/api/v1/openapi.json",
        render_plugins=[_Document()],
        use_handler_docstrings=True,
    )


def _completed(app: Litestar, document: dict[str, Any]) -> dict[str, Any]:
    kinds: set[type] = {ErrorBody}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                _complete_route(document["paths"].get(route.path_format, {}), handler, kinds)
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    document["components"]["schemas"].update(components)
    return document


def _complete_route(path: dict[str, Any], handler: HTTPRouteHandler, kinds: set[type]) -> None:
    for method in handler.http_methods:
        operation = path.get(method.lower())
        if operation is None:
            continue
        responses = operation.setdefault("responses", {})
        responses.pop("400", None)  # Litestar's own envelope, which is not ours
        for schema in _schemas(responses):
            if "oneOf" in schema:  # one answer may fit several: all their fields may be absent
                schema["anyOf"] = schema.pop("oneOf")
        responses["default"] = _of_kind(ErrorBody, "A failure, in words")
        responses |= {status: _of_kind(ErrorBody, words) for status, words in _refusals(method, handler).items()}
        if query := handler.opt.get("query"):
            operation.setdefault("parameters", []).extend(_parameters(query))
        if body := handler.opt.get("body"):
            kinds.add(body)
            operation["requestBody"] = _of_kind(body, body.__name__)


def _schemas(responses: dict[str, Any]) -> list[dict[str, Any]]:
    return [content["schema"] for response in responses.values() for content in response.get("content", {}).values()]


def _refusals(method: str, handler: HTTPRouteHandler) -> dict[str, str]:
    """List the answers of the door to requests that never reach a handler, or whose body is of another type."""
    found = {"421": "The Host header holds none of the names of this server"}
    if method not in ("GET", "HEAD"):
        found["403"] = "A web page of another origin, or a caller without the right, may not do this"
    if handler.opt.get("body"):
        found["415"] = "The body is not JSON"
    return found


def _of_kind(kind: type, description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}},
    }


def _parameters(query: type) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([query], ref_template=_REF)
    properties = components[query.__name__]["properties"]
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in properties.items()]
