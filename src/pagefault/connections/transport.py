"""The transport under every HTTP client: directly or by a proxy, once more if an idle connection was dead.

Left out: the choice of proxies and certificates.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from httpx2 import (
    URL,
    AsyncBaseTransport,
    AsyncHTTPTransport,
    ByteStream,
    ConnectError,
    Limits,
    NetworkError,
    ProxyError,
    RemoteProtocolError,
    Request,
    Response,
    TransportError,
)

from pagefault.connections import ConnectionFailure
from pagefault.connections.certificates import CertificateFault, tls_context, tls_failure
from pagefault.connections.proxies import Proxy, proxy_for

__all__ = ["RoutedTransport", "UnreachableError", "stay_on_server"]

_EXAMPLE = "http://HOST:PORT"


class UnreachableError(ConnectError):
    """A server that was not reached, with the reason in words."""

    def __init__(self, failure: ConnectionFailure) -> None:
        super().__init__(f"{failure.reason}; {failure.fix}")
        self.failure = failure


class RoutedTransport(AsyncBaseTransport):
    """Sends each request by the route that the environment asks for; connections are kept, by route.

    Raises ``UnreachableError`` where it knows the reason, else the transport's own errors.
    """

    def __init__(self, limits: Limits, saw: Callable[[int, Mapping[str, str]], None] | None = None) -> None:
        self._limits = limits
        self._saw = saw
        self._made: dict[tuple[str, Proxy | None, bool], AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: Request) -> Response:
        url, connected = request.url, False

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal connected
            connected = connected or ".connect_" in event

        request.extensions = {**request.extensions, "trace": trace}
        host = str(request.extensions.get("sni_hostname", url.host))  # the name, if the URL has its address
        proxy = proxy_for(url.scheme, host, url.port or _PORTS.get(url.scheme, 0))
        for kept in (True, False):  # once more on a fresh connection, if the server had closed an idle one
            try:
                response = await self._transport(url, proxy, kept=kept).handle_async_request(request)
            except (TransportError, ssl.SSLError) as error:
                if kept and not connected and _was_closed(error) and isinstance(request.stream, ByteStream):
                    continue
                if failure := _explained(error, proxy):
                    raise UnreachableError(failure) from error
                raise
            if self._saw:
                self._saw(response.status_code, response.headers)
            return response
        raise AssertionError

    async def aclose(self) -> None:
        made, self._made = self._made, {}
        for transport in made.values():
            await transport.aclose()

    def _transport(self, url: URL, proxy: Proxy | None, *, kept: bool) -> AsyncHTTPTransport:
        key = (url.scheme, proxy, kept)
        if key not in self._made:
            self._made[key] = self._make(url.scheme, proxy, kept=kept)
        return self._made[key]

    def _make(self, scheme: str, proxy: Proxy | None, *, kept: bool) -> AsyncHTTPTransport:
        # Only TLS needs certificates. Without any the context trusts nobody.
        secure = scheme == "https" or (proxy is not None and proxy.url.lower().startswith("https:"))
        try:
            context = tls_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        except CertificateFault as error:
            raise UnreachableError(error.failure) from None
        limits = self._limits if kept else Limits(max_keepalive_connections=0)
        if proxy is None:
            return AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
        if proxy.fault:
            raise UnreachableError(_proxy_failure(proxy, proxy.fault))
        try:
            return AsyncHTTPTransport(verify=context, trust_env=False, limits=limits, proxy=proxy.url)
        except ImportError:
            fix = f"run: pip install 'httpx2[socks]', or unset {proxy.variable}"
            raise UnreachableError(ConnectionFailure(f"{proxy.shown} needs a package", fix)) from None
        except (ValueError, TypeError):  # InvalidURL is none of httpx2's transport errors
            raise UnreachableError(_proxy_failure(proxy, "is no address")) from None


_PORTS = {"http": 80, "https": 443}


async def stay_on_server(response: Response) -> None:
    """Refuse a redirect to another server, or from a secure connection to an open one."""
    if not response.has_redirect_location:
        return
    old, new = response.request.url, response.request.url.join(response.headers["location"])
    upgrade = (old.scheme, new.scheme) == ("http", "https") and (old.port, new.port) == (None, None)
    if old.host != new.host or ((old.scheme, old.port) != (new.scheme, new.port) and not upgrade):
        reason = f"it redirects to another server ({new.scheme}://{new.netloc.decode()})"
        raise UnreachableError(ConnectionFailure(reason, "set that address if it is the right one"))


def _was_closed(error: Exception) -> bool:
    """Return True if a connection ended before an answer began."""
    return isinstance(error, NetworkError | RemoteProtocolError) and not isinstance(error, ConnectError)


def _explained(error: Exception, proxy: Proxy | None) -> ConnectionFailure | None:
    """Return the failure behind a transport's error, None if the error says nothing that helps."""
    if isinstance(error, UnreachableError):
        return error.failure
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return tls_failure(cause)
    if proxy and isinstance(error, ProxyError):
        return _proxy_failure(proxy, f"refused ({error})", may_pass="407" not in str(error))
    if proxy and isinstance(error, ConnectError):
        return _proxy_failure(proxy, "cannot be reached", may_pass=True)
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _proxy_failure(proxy: Proxy, fault: str, *, may_pass: bool = False) -> ConnectionFailure:
    fix = f"correct {proxy.variable} (as in {_EXAMPLE}), or unset it"
    return ConnectionFailure(f"{proxy.shown} {fault}", fix, may_pass)
