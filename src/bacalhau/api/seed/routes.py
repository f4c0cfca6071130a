"""The older generation's API as one router: below `/api/v1` and, as its first clients call it, at the root."""

from litestar import Router
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from bacalhau.api.seed.agent import (
    SEED_AGENT_ROUTES,
    SEED_PREFIXED_ROUTES,
    SEED_REQUESTER_ROUTES,
    SEED_ROOT_ROUTES,
)
from bacalhau.api.seed.errors import on_crash, on_expected, on_framework
from bacalhau.api.seed.jobs import SEED_JOB_ROUTES
from bacalhau.api.seed.logs import SEED_LOG_ROUTES
from bacalhau.lib.errors import BacalhauError


def seed_routers(*, has_jobs: bool) -> list[Router]:
    """Make the routers of the older generation. They are not in the OpenAPI document, which is of today's."""
    jobs = [
        Router("/requester", route_handlers=[*SEED_JOB_ROUTES, *SEED_LOG_ROUTES]),
        *SEED_REQUESTER_ROUTES,
    ]
    own = [*SEED_AGENT_ROUTES, *(jobs if has_jobs else ())]
    return [_router("/api/v1", [*own, *SEED_PREFIXED_ROUTES]), _router("/", [*own, *SEED_ROOT_ROUTES])]


def _router(path: str, routes: list[ControllerRouterHandler]) -> Router:
    return Router(
        path,
        route_handlers=routes,
        exception_handlers={BacalhauError: on_expected, HTTPException: on_framework, Exception: on_crash},
        include_in_schema=False,
    )
