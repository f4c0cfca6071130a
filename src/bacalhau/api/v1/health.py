"""Routes for those who watch over this process: can it do its work, and how does it fare."""

from typing import cast

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from bacalhau.api.http.answer import JSON, go_json
from bacalhau.api.http.metrics import CONTENT_TYPE, Metrics
from bacalhau.api.http.readiness import Readiness
from bacalhau.api.http.request import Ask


@get("/readyz", include_in_schema=False)
async def get_ready(request: Ask) -> Response[bytes]:
    """Tell whether this process can do its work, part by part. The status is 503 when it cannot."""
    told = await cast(Readiness, request.app.state.readiness).check()
    return Response(go_json(told), status_code=200 if told.ready else 503, media_type=JSON)


@get("/metrics", include_in_schema=False)
async def get_metrics(request: Ask) -> Response[bytes]:
    """Show the metrics of this process in Prometheus' text format."""
    told = await cast(Metrics, request.app.state.metrics).render()
    return Response(told, headers={"content-type": CONTENT_TYPE})


HEALTH_ROUTES: list[ControllerRouterHandler] = [get_ready, get_metrics]
