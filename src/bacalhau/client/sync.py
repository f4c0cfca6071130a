"""The client without `await`: each verb is the asynchronous one, run on a loop in a thread of its own.

The verbs stand in modules `sync_…`, which `make sync` writes from those of the asynchronous client.
"""

import ssl
from collections.abc import Mapping

import httpx

from bacalhau.client.blocking import Blocking
from bacalhau.client.client import AsyncClient
from bacalhau.client.sync_listing import SyncListVerbs
from bacalhau.client.sync_nodes import SyncNodeVerbs
from bacalhau.client.sync_outputs import SyncOutputVerbs
from bacalhau.client.sync_running import SyncRunVerbs


class Client(SyncRunVerbs, SyncOutputVerbs, SyncListVerbs, SyncNodeVerbs):
    """A client of one server: `with Client() as client`, or without `with` and `close()` at the end.

    The verbs are those of `AsyncClient`; so are their errors. It works in notebooks too, whose loop is running.
    """

    _client: AsyncClient

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        auth: tuple[str, str] | None = None,
        namespace: str | None = None,
        timeout: float | None = None,
        verify: bool | str | ssl.SSLContext = True,
        headers: Mapping[str, str] | None = None,
        profile: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        client = AsyncClient(
            url,
            token=token,
            auth=auth,
            namespace=namespace,
            timeout=timeout,
            verify=verify,
            headers=headers,
            profile=profile,
            transport=transport,
        )
        Blocking.__init__(self, client)

    __init__.__doc__ = AsyncClient.__init__.__doc__
