"""The older generation's API as one router: below `/api/v1` and, as its first clients call it, at the root."""

from litestar import Router
from litestar.exceptions import HTTPException

from bacalhau.api.seed.agent import SEED_AGENT_ROUTES, SEED_PREFIXED_ROUTES, SEED_ROOT_ROUTES
from bacalhau.api.seed.errors import on_crash, on_expected, on_framework
from bacalhau.api.seed.jobs import SEED_JOB_ROUTES
from bacalhau.api.seed.logs import SEED_LOG_ROUTES
from bacalhau.lib.errors import BacalhauError


def seed_routers() -> list[Router]:
    """Not in the OpenAPI document, which is of today's generation."""
    return [_router("/api/v1", prefixed=True), _router("/", prefixed=False)]


def _router(path: str, *, prefixed: bool) -> Router:
    return Router(
        path,
        route_handlers=[
            Router("/requester", route_handlers=[*SEED_JOB_ROUTES, *SEED_LOG_ROUTES]),
            *SEED_AGENT_ROUTES,
            *(SEED_PREFIXED_ROUTES if prefixed else SEED_ROOT_ROUTES),
        ],
        exception_handlers={BacalhauError: on_expected, HTTPException: on_framework, Exception: on_crash},
        include_in_schema=False,
    )
