"""The settings of the HTTP API: where it listens, over TLS or not, and who may use it.

What is wrong with the users is found here, too.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bacalhau.config.section import Port, Section

HASHED = re.compile(r"\$2[aby]\$\d\d\$.{53}")
"""A bcrypt hash; any other password is taken as it is."""
_ORIGIN = re.compile(r"\*|https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?")


_HOST = re.compile(r"\*|(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")


class Capability(Section):
    actions: Annotated[
        tuple[str, ...],
        Meta(description="What is allowed: VERB:RESOURCE of read, write and job, node, agent; * is everything."),
    ] = ()


class User(Section):
    alias: str = ""
    username: str = ""
    password: str = ""
    api_key: str = ""
    capabilities: tuple[Capability, ...] = ()

    @property
    def name(self) -> str:
        return self.alias or self.username or "API key user"

    @property
    def actions(self) -> frozenset[str]:
        return frozenset(action.strip().lower() for capability in self.capabilities for action in capability.actions)


class Oauth2(Section):
    provider_id: Annotated[
        str, Meta(description="Short name of the identity provider whose tokens are accepted; empty accepts none.")
    ] = ""
    provider_name: Annotated[str, Meta(description="Name of the identity provider for people.")] = ""
    token_endpoint: Annotated[str, Meta(description="Where clients get tokens.")] = ""
    jwks_uri: Annotated[
        str, Meta(description="Where the provider publishes the keys that its tokens are checked with.")
    ] = ""
    issuer: Annotated[str, Meta(description="Issuer that a token must name.")] = ""
    device_client_id: Annotated[str, Meta(description="Client id of the command line at the provider.")] = ""
    audience: Annotated[str, Meta(description="Audience that a token must name; empty accepts any.")] = ""
    scopes: Annotated[tuple[str, ...], Meta(description="What the command line asks the provider for.")] = ()
    device_authorization_endpoint: Annotated[str, Meta(description="Where the command line begins to sign in.")] = ""
    polling_interval: Annotated[
        int,
        Meta(
            ge=0,
            description=(
                "Seconds between the command line's questions while a person signs in; 0 leaves it to the provider."
            ),
        ),
    ] = 0


class Auth(Section):
    methods: Annotated[
        dict[str, Any],
        Meta(
            description=(
                "How clients without credentials introduce themselves; challenge lets them sign with their own key."
            )
        ),
    ] = msgspec.field(default_factory=lambda: {"ClientKey": {"Type": "challenge"}})
    users: Annotated[
        tuple[User, ...],
        Meta(
            description=(
                "Who may use the API, with a password (also a bcrypt hash) or a key, and what each may do; none lets"
                " everybody in."
            )
        ),
    ] = ()
    oauth2: Oauth2 = Oauth2()


class ApiTLS(Section):
    cert_file: Annotated[
        str, Meta(description="The server's certificate, with those between it and the root; empty serves plain HTTP.")
    ] = ""
    key_file: Annotated[str, Meta(description="The private key of that certificate.")] = ""
    self_signed: Annotated[
        bool, Meta(description="Serve TLS with a certificate made at start; clients then need API.TLS.Insecure.")
    ] = False
    use_tls: Annotated[bool, Meta(description="The client talks to the API over TLS.")] = False
    insecure: Annotated[bool, Meta(description="The client accepts any certificate.")] = False
    ca_file: Annotated[str, Meta(description="Certificates the client trusts beside the system's.")] = ""


class Cors(Section):
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Web pages, as scheme://host[:port], that may use the API beside the server's own, * for all; none,"
                " because a browser lets every page reach this machine."
            )
        ),
    ] = ()


class API(Section):
    host: Annotated[
        str,
        Meta(
            description=(
                "Address the server listens on and the client calls, or a whole URL; loopback, because whoever reaches"
                " it can run jobs."
            )
        ),
    ] = "127.0.0.1"
    port: Annotated[
        Port,
        Meta(
            description=(
                "Port of the API; 1234 is what every client of the network expects. A node that only runs jobs beside"
                " its orchestrator, or on a machine where 1234 is in use, takes the next free port unless this is set."
            )
        ),
    ] = 1234
    auth: Auth = Auth()
    tls: ApiTLS = ApiTLS()
    cors: Cors = Cors()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Names by which this server is called, beside its own: NAME, *.DOMAIN, or * for any. On loopback all"
                " other names are refused; elsewhere names with a dot that are none of the machine's own, where the API"
                " has neither users nor TLS, because a web page can make its name lead here."
            )
        ),
    ] = ()


def access_problems(api: API) -> list[str]:
    """List the settings that a server cannot start with, each with its cure."""
    problems = [
        problem
        for number, user in enumerate(api.auth.users)
        for problem in _user_problems(user, f"API.Auth.Users[{number}]")
    ]
    for kind, values in {
        "username": [u.username.lower() for u in api.auth.users if u.username],
        "API key": [u.api_key for u in api.auth.users if u.api_key],
    }.items():
        problems += [
            f"API.Auth.Users: the same {kind} is given twice{f': {value}' if kind == 'username' else ''}"
            for value, times in Counter(values).items()
            if times > 1
        ]
    problems += [
        f"API.Auth.Methods.{name}: only the type challenge is supported, not {found!r}"
        for name, method in api.auth.methods.items()
        if (found := method_type(method)) != "challenge"
    ]
    if api.auth.oauth2.provider_id and not (api.auth.oauth2.jwks_uri and api.auth.oauth2.issuer):
        problems.append("API.Auth.Oauth2: tokens cannot be checked without JWKSUri and Issuer")
    problems += [
        f"API.Cors.AllowedOrigins: {origin!r} is no origin: write scheme://host[:port], or * for all"
        for origin in api.cors.allowed_origins
        if not _ORIGIN.fullmatch(origin)
    ]
    problems += [
        f"API.AllowedHosts: {host!r} is no name of a host: write NAME, *.DOMAIN, or * for any"
        for host in api.allowed_hosts
        if not _HOST.fullmatch(host)
    ]
    if bool(api.tls.cert_file) != bool(api.tls.key_file):
        problems.append("API.TLS: CertFile and KeyFile belong together, set both")
    return problems


def is_guarded(auth: Auth) -> bool:
    """Tell whether callers must show who they are."""
    return bool(auth.users or auth.oauth2.provider_id)


def method_type(method: Any) -> str:
    found = (
        next((value for key, value in method.items() if str(key).lower() == "type"), "")
        if isinstance(method, dict)
        else method
    )
    return str(found).lower()


def _user_problems(user: User, where: str) -> Iterator[str]:
    if bool(user.api_key) == bool(user.username or user.password):
        yield f"{where}: needs either Username and Password or APIKey"
    elif user.api_key and not 20 <= len(user.api_key) <= 255:
        yield f"{where}: APIKey must be 20 to 255 characters long, not {len(user.api_key)}"
    elif not user.api_key:
        yield from _password_problems(user, where)
    if not user.actions:
        yield f"{where}: needs at least one action in Capabilities, for instance read:*"


def _password_problems(user: User, where: str) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9]{1,100}", user.username):
        yield f"{where}: Username must be 1 to 100 letters and digits, not {user.username!r}"
    if not HASHED.fullmatch(user.password) and not 10 <= len(user.password) <= 255:
        yield f"{where}: Password must be 10 to 255 characters long, or a bcrypt hash"
