"""Which hosts are meant by a domain, and what a proxy makes of a request."""

import pytest

from bacalhau.plugins.docker.domains import match_domain
from bacalhau.plugins.docker.proxy import Guest, _Refused, read_head

GUEST = Guest("j-1", (".example.org", "10.0.0.7"))


@pytest.mark.parametrize(
    ("host", "domain", "match"),
    [
        ("example.org", "example.org", True),
        ("EXAMPLE.org.", "example.org", True),
        ("www.example.org", "example.org", False),
        ("www.example.org", ".example.org", True),
        ("a.b.example.org", ".example.org", True),
        ("example.org", ".example.org", True),
        ("badexample.org", ".example.org", False),
        ("example.org.evil.net", "example.org", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.10", False),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("10.0.0.1", ".0.0.1", False),
    ],
)
def test_domains(host, domain, match):
    assert match_domain(host, (domain,)) is match
    assert not match_domain(host, ())


def test_requests_are_passed_on_in_the_form_of_the_server():
    ask = read_head(
        "GET http://www.example.org:8080/a?b=c HTTP/1.1\r\nHost: www.example.org:8080\r\nProxy-Connection:"
        " keep-alive\r\nConnection: x\r\nA: b\r\n\r\n",
        GUEST,
    )
    assert (ask.host, ask.port) == ("www.example.org", 8080)
    assert (
        ask.head
        == b"GET /a?b=c HTTP/1.1\r\nHost: www.example.org:8080\r\nA: b\r\nConnection: close\r\nX-Bacalhau-Job-ID:"
        b" j-1\r\n\r\n"
    )
    assert read_head("GET http://10.0.0.7 HTTP/1.0\r\n\r\n", GUEST)[:2] == ("10.0.0.7", 80)
    assert read_head("CONNECT example.org:443 HTTP/1.1\r\n\r\n", GUEST) == ("example.org", 443, b"")


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ("GET http://other.org/ HTTP/1.1", "403 Forbidden"),
        ("CONNECT other.org:443 HTTP/1.1", "403 Forbidden"),
        ("GET http://other.org@example.org.evil/ HTTP/1.1", "403 Forbidden"),
        ("GET /path HTTP/1.1", "400 Bad Request"),
        ("GET https://example.org/ HTTP/1.1", "400 Bad Request"),
        ("CONNECT example.org HTTP/1.1", "400 Bad Request"),
        ("CONNECT example.org:99999 HTTP/1.1", "400 Bad Request"),
        ("hello", "400 Bad Request"),
        ("PRI * HTTP/2.0", "400 Bad Request"),
    ],
)
def test_what_is_not_passed_on(first, status):
    with pytest.raises(_Refused) as refused:
        read_head(f"{first}\r\n\r\n", GUEST)
    assert refused.value.status == status
