"""The client of a command: which configuration, which server, whose jobs."""

from contextlib import AbstractAsyncContextManager

from bacalhau.client.client import AsyncClient
from bacalhau.client.endpoint import CLIENT_HEADER, resolve_endpoint
from bacalhau.client.overrides import Overrides


def connect(settings: Overrides) -> AbstractAsyncContextManager[AsyncClient]:
    """A client of the server that flags, environment and configuration name."""
    return AsyncClient.at(resolve_endpoint(overrides=settings))


def own_id(client: AsyncClient) -> str:
    """Return the identity that this client's jobs carry; "" where none can be kept."""
    return client.endpoint.headers.get(CLIENT_HEADER, "")
