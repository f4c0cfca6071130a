"""The IPFS gateway."""

from litestar.types import ControllerRouterHandler

GATEWAY_ROUTES: list[ControllerRouterHandler] = []
