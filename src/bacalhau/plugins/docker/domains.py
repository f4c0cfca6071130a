"""The hosts that a task may reach by HTTP: the domains of its job, matched against names and addresses. Pure."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def match_domain(host: str, domains: Iterable[str]) -> bool:
    """`.example.org` is that domain and all below it; any other name is itself alone; an address is compared as an
    address.
    """
    name = host.lower().rstrip(".")
    return any(_matches(name, domain.strip().lower()) for domain in domains)


def _matches(name: str, domain: str) -> bool:
    address, wanted = read_address(name), read_address(domain)
    if address is not None or wanted is not None:
        return address == wanted
    if domain.startswith("."):
        return name == domain[1:] or name.endswith(domain)
    return name == domain


def read_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
