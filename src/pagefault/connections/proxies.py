"""The proxy for an address, from ``http_proxy``, ``https_proxy``, ``all_proxy``, ``no_proxy``, as for curl.

In either case, the lower one first; else the system's own (macOS, Windows). This machine itself is never
reached through a proxy. Left out: connecting.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies

from pagefault.redaction import without_user

__all__ = ["Proxy", "is_loopback", "proxy_for"]

_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy by its URL; ``variable`` is where it was named. ``fault``: why it cannot be used, if so."""

    url: str
    variable: str
    fault: str = ""

    @property
    def shown(self) -> str:
        return f"the proxy {without_user(self.url)} ({self.variable})"


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """Return the proxy to use for a server; None if it is reached directly."""
    if is_loopback(host) or _is_exempt(host, port, _variable("no_proxy")[1]):
        return None
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable, value = _variable(name)
        if value:
            return _checked(value, variable)
    return None


def is_loopback(host: str) -> bool:
    """Return True if a host is this machine, in any spelling that is read without asking for a name."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        try:
            address = ip_address(socket.inet_aton(name)) if name[:1].isdigit() else None  # 127.1, 0x7f000001
        except OSError:
            return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return address is not None and (address.is_loopback or address.is_unspecified)


def _variable(name: str) -> tuple[str, str]:
    """Return the variable that counts, and its value: empty if none is set."""
    for variable in (name, name.upper()):
        if variable in os.environ:
            in_cgi = variable == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ  # there a header sets it
            return variable, "" if in_cgi else os.environ[variable].strip()
    return "the system's settings", str(getproxies().get(name.removesuffix("_proxy"), "")).strip()


def _checked(value: str, variable: str) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port or IPv6 address
        parts, whole = urlsplit(""), False
    if not whole or re.search(r"[\s\x00-\x1f]", url):
        return Proxy(url, variable, "is no address")
    if parts.scheme.lower() not in _SCHEMES:
        return Proxy(url, variable, "is of a kind that cannot be used")
    return Proxy(url, variable)


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Return True if ``no_proxy`` holds the host: by name, domain, address or network, with a port or not."""
    name = host.strip("[]").rstrip(".").lower()
    return any(_covers(entry, name, port) for entry in re.split(r"[\s,;]+", no_proxy.lower()) if entry)


def _covers(entry: str, name: str, port: int) -> bool:
    if entry == "*":
        return True
    entry = entry.rpartition("://")[2]
    if found := re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", entry):
        return int(found[2]) == port and _covers(found[1], name, port)
    try:
        return ip_address(name) in ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    except ValueError:  # not both are addresses
        pass
    domain = entry.strip("[]").removeprefix("*").strip(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))
