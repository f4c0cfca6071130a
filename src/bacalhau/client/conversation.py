"""The opening and closing of a client, on which all verbs stand."""

from types import TracebackType
from typing import Self

from bacalhau.client.transport import Endpoint, Transport


class Conversation:
    """One client's conversation with one server. It opens no connection before the first verb."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._transport = Transport(endpoint)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of this client. A second call does nothing.

        Examples:
            >>> client = Client(url)
            >>> client.close()
            >>> client.close()
        """
        await self._transport.aclose()

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint, with the token that this client received since it was opened, if any."""
        return self._transport.endpoint

    @property
    def transport(self) -> Transport:
        """The way to the server. Raises RuntimeError when the client is closed."""
        self._transport.require_open()
        return self._transport
