"""Failed conversations in plain words, from the errors that libraries really raise."""

import socket
import ssl

import aiohttp
import httpx
import pytest

from bacalhau.lib.network import network_fault, tls_fault


def caused(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


class LibrarysOwn(ssl.SSLError):
    pass


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "connection refused"),
        (caused(RuntimeError("a library"), OSError(113, "x")), "no route to host"),
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError("Cannot write to closing transport"), "connection lost"),
        (ExceptionGroup("all", [ConnectionRefusedError(111, "x")]), "connection refused"),
        (
            caused(LibrarysOwn("long"), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")),
            "TLS: [ssl: wrong version number] wrong version number",
        ),
        (ValueError("nothing like it"), "nothing like it"),
        (ValueError(), "ValueError"),
    ],
)
def test_in_words(error, words):
    assert network_fault(error) == words


async def test_what_two_libraries_say_of_one_closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        await _ask(f"http://127.0.0.1:{unused.getsockname()[1]}")


async def _ask(url):
    async with aiohttp.ClientSession() as session, httpx.AsyncClient() as http:
        with pytest.raises(aiohttp.ClientError) as first:
            await session.get(url)
        with pytest.raises(httpx.HTTPError) as second:
            await http.get(url)
    assert {network_fault(first.value), network_fault(second.value)} == {"connection refused"}
    assert tls_fault(first.value) == ""
