"""The asynchronous client of the API: its opening; the verbs are in `jobs`, `running`, `listing`, `outputs`, `nodes`.

`sync` has the same verbs without `await`.
"""

import ssl
from collections.abc import Mapping
from typing import Self

import httpx

from bacalhau.client.conversation import Conversation
from bacalhau.client.endpoint import Options, make_endpoint
from bacalhau.client.listing import ListVerbs
from bacalhau.client.nodes import NodeVerbs
from bacalhau.client.outputs import OutputVerbs
from bacalhau.client.running import RunVerbs
from bacalhau.client.transport import Endpoint


class AsyncClient(RunVerbs, OutputVerbs, ListVerbs, NodeVerbs):
    """A client of one server, for asynchronous code: `async with AsyncClient() as client`.

    Jobs are named by id, by a unique beginning of it, or by name. Every verb raises the server's error
    (`bacalhau.NotFound` and so on, all kinds of `BacalhauError`), or Unavailable where there is no server.
    """

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
        """Make a client. Nothing is read from the disk and nothing written to it, unless `profile` names one.

        `url`: http://HOST:PORT. None is the profile's; without a profile that of BACALHAU_API_HOST and
        BACALHAU_API_PORT, else this machine's http://127.0.0.1:1234.
        `token`: an API key or bearer token. `auth`: user and password. Without both: those of the profile, or of
        BACALHAU_API_KEY, BACALHAU_API_TOKEN, or BACALHAU_API_USERNAME with BACALHAU_API_PASSWORD.
        `namespace`: where jobs are submitted and looked for, when a verb does not say; None leaves it to the server.
        `timeout`: seconds that an answer may take; None is 30. Waiting for a job is not limited by it.
        `verify`: False trusts every server, a text is a PEM file with authorities that are trusted as well.
        `headers` go along with each request. `profile`: a name of `bacalhau profile list`, or "current" for what
        the command line would use. `transport` is HTTPX's, for requests; logs and downloads go their own way.

        Raises BadRequest for what cannot be used, NotFound for an unknown profile, Unauthorized for half a credential.

        Examples:
            >>> with Client(url, timeout=10, namespace="default") as client:
            ...     client.alive().status
            'OK'
        """
        super().__init__(
            make_endpoint(Options(url, token, auth, namespace, timeout, verify, headers, profile, transport))
        )

    @classmethod
    def at(cls, endpoint: Endpoint) -> Self:
        """Make a client of an endpoint that was found already, such as by the options of a command."""
        client = cls.__new__(cls)
        Conversation.__init__(client, endpoint)
        return client
