"""Fetching a document from the web, and nothing that is not on the web.

Each hop's name is resolved once, its addresses are checked, and the connection is made to one of those: a
name that means another address the next time gains nothing. Where a proxy is set, it makes the connections;
names are checked as far as this machine resolves them. Left out: links within documents: none is fetched.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import anyio
from httpx2 import (
    URL,
    AsyncBaseTransport,
    AsyncClient,
    ConnectError,
    ConnectTimeout,
    HTTPError,
    InvalidURL,
    Limits,
    Request,
    Response,
)

from pagefault.config import LoadingSettings
from pagefault.connections.proxies import proxy_for
from pagefault.connections.transport import RoutedTransport
from pagefault.errors import UsageError
from pagefault.ingest.bounds import raising
from pagefault.redaction import logger_of

__all__ = ["Fetched", "WebTransport", "fetch", "is_public", "stay_secure"]

_TIME = 300.0  # seconds in all
_WAIT = 20.0  # seconds for a connection, and between two pieces
_MOST_REDIRECTS = 5
_PIECE = 1 << 16  # bytes unpacked at a time
_PORTS = {"http": 80, "https": 443}
# IPv6 prefixes of 96 bits before an IPv4 address: of its own, and of networks that translate
_BEFORE_IPV4 = {int(IPv6Address(prefix)) >> 32 for prefix in ("::", "64:ff9b::")}
_LOCAL = ip_network("64:ff9b:1::/48")  # of a translator for one network; older Pythons take it for global
_PACKED = ("gzip", "x-gzip", "deflate")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as fetched, and the URL at which it was found in the end."""

    data: bytes
    url: str
    declared: str


async def fetch(address: str, limits: LoadingSettings, *, near: bool = False) -> Fetched:
    """Fetch a document; ``UsageError`` has the reason if that fails. ``near``: the address is one of this
    machine or its network, and meant; redirects to others of these are refused all the same."""
    logger_of("httpx2")  # it logs URLs
    try:
        guard = WebTransport(
            RoutedTransport(Limits(max_keepalive_connections=0)), URL(address), limits.private, near
        )
        client = AsyncClient(
            transport=guard, trust_env=False, timeout=_WAIT,
            follow_redirects=True, max_redirects=_MOST_REDIRECTS,
            headers={"accept-encoding": "gzip, deflate"}, event_hooks={"response": [stay_secure]},
        )  # fmt: skip
        with anyio.fail_after(_TIME):
            async with client, client.stream("GET", address) as response:
                if response.is_error:
                    raise UsageError(f"The server answers {response.status_code}; check the address.")
                data = bytearray()
                async for piece in _unpacked(response):
                    data += piece
                    if len(data) > limits.download << 20:
                        raise UsageError(f"It is larger than {limits.download:,} MB; {raising('download')}")
                return Fetched(bytes(data), str(response.url), response.headers.get("content-type", ""))
    except TimeoutError:
        raise UsageError(f"It was not fetched within {_TIME:g} s; load a file of it, or try again.") from None
    except (HTTPError, InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise UsageError(f"It cannot be fetched ({why}); check the address.") from None


class WebTransport(AsyncBaseTransport):
    """Sends requests to public addresses alone, unless others are allowed: all, or the first one."""

    def __init__(self, inner: AsyncBaseTransport, first: URL, private: bool, near: bool) -> None:
        self._inner = inner
        self._first = first
        self._private = private
        self._near = near

    async def handle_async_request(self, request: Request) -> Response:
        url = request.url
        if url.scheme not in _PORTS:
            raise UsageError(f"It redirects to {url.scheme}:, and only http and https are fetched; check it.")
        host, port = url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]
        meant = self._near and (url.host, url.port) == (self._first.host, self._first.port)
        if self._private or meant:
            return await self._inner.handle_async_request(request)
        by_proxy = proxy_for(url.scheme, host, port) is not None
        addresses = await _addresses(host, port, or_none=by_proxy)
        if not all(map(is_public, addresses)):
            raise UsageError(_refusal(url, redirected=url.host != self._first.host))
        if by_proxy:
            return await self._inner.handle_async_request(request)
        return await self._send(request, host, addresses)

    async def _send(self, request: Request, host: str, addresses: list[str]) -> Response:
        """Send to the first address that can be reached, under the name of the host."""
        for index, address in enumerate(addresses):
            pinned = Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (ConnectError, ConnectTimeout):
                if index + 1 == len(addresses):
                    raise
        raise ConnectError("the name has no address")

    async def aclose(self) -> None:
        await self._inner.aclose()


def is_public(address: str) -> bool:
    """Return True if an IP address is one of the web, and not one that leads back by another notation."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    ip = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
    local = ip in _LOCAL or (isinstance(ip, IPv6Address) and ip.is_site_local)
    if not ip.is_global or ip.is_multicast or local:
        return False
    if isinstance(ip, IPv4Address):
        return not ip.is_reserved
    return all(is_public(str(address)) for address in _embedded(ip))


def _embedded(ip: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address stands for."""
    found = [ip.sixtofour, *(ip.teredo or ())]
    if int(ip) >> 32 in _BEFORE_IPV4:
        found.append(IPv4Address(int(ip) & 0xFFFFFFFF))
    return [address for address in found if address is not None]


async def _addresses(host: str, port: int, *, or_none: bool) -> list[str]:
    """Resolve a name as the connection would: numbers in other notations too."""
    try:
        found = await anyio.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError:
        if or_none:
            return []
        raise ConnectError("the name of the server is not known") from None
    except UnicodeError:
        raise ConnectError("the name of the server is none") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _refusal(url: URL, *, redirected: bool) -> str:
    fix = "load a file of it, or set private = true under [loading] in config.toml"
    what = "It redirects to" if redirected else "Its server is"
    return f"{what} {url.host}, which is this machine or in a private network; {fix}."


async def stay_secure(response: Response) -> None:
    """Refuse a redirect from a secure connection to an open one."""
    if response.has_redirect_location:
        new = response.request.url.join(response.headers["location"])
        if response.request.url.scheme == "https" and new.scheme == "http":
            raise UsageError(
                "It redirects from https to http, which anybody may read and change; check the address."
            )


async def _unpacked(response: Response) -> AsyncIterator[bytes]:
    """Yield the body in bounded pieces: a few bytes can be packed gigabytes."""
    packing = response.headers.get("content-encoding", "").strip().lower()
    if packing in ("", "identity"):
        async for piece in response.aiter_raw():
            yield piece
        return
    if packing not in _PACKED:
        raise UsageError("The server sends it packed in a way that was not asked for; load a file of it.")
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, by the first bytes
    try:
        async for piece in response.aiter_raw():
            while piece:
                yield unpacker.decompress(piece, _PIECE)
                piece = unpacker.unconsumed_tail
    except zlib.error:
        raise UsageError(
            "The server sends it packed, and damaged; try again, or load a file of it."
        ) from None
