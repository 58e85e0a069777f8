"""Connections: proxies, certificates, redirects and dead idle connections, alike for all that sends requests.

Every server is real, on loopback. A host that is not this machine is reached through a proxy on loopback.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import anyio
import pytest
import trustme

from adapters import NAMES
from pagefault.connections.proxies import is_loopback, proxy_for
from pagefault.connections.rate_headers import pause_until_reset, retry_after
from pagefault.embedders.remote import RemoteEmbedder
from pagefault.embedders.servers import Server
from pagefault.errors import EmbedderError, ModelError, ModelUnavailable, PagefaultError
from pagefault.models import Completion
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.directory.providers import PROVIDERS
from pagefault.models.endpoint import ModelOptions
from pagefault.testing.models import PROMPT
from pagefault.testing.providers import KEY, ProviderServer, RawReply, Shape

VARIABLES = (
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "ssl_cert_file", "ssl_cert_dir", "requests_ca_bundle",
)  # fmt: skip
CLIENTS = (*NAMES, "embedder")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def asked(client: str, root: str) -> None:
    """Send one request by an adapter, or by the embedder, to the server at ``root``."""
    if client == "embedder":
        embedder = RemoteEmbedder(Server("f", "m", f"{root}/v1", KEY, "EMBEDDER_KEY", "look"), timeout=20)
        try:
            await embedder.embed(["one"])
        finally:
            await embedder.aclose()
        return
    shape: Shape = client  # pyright: ignore[reportAssignmentType]
    name = NAMES[shape]
    provider = name.partition(":")[0]
    url = f"{root}/v1" if client == "openai" else root
    known = replace(PROVIDERS[provider], timeout=20.0)
    given = {known.address: url, known.key: KEY}
    catalogue = Catalogue(given, {provider: known})
    (target,) = catalogue.targets(name)
    try:
        async for _ in catalogue.adapter(target, 8192, ModelOptions()).stream(PROMPT):
            pass
    finally:
        await catalogue.aclose()


def error_of(client: str, root: str) -> PagefaultError:
    """The error of a request, which is one sentence of ours."""
    with pytest.raises((ModelError, EmbedderError)) as caught:
        anyio.run(asked, client, root)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return caught.value


# proxies


@pytest.mark.parametrize(
    ("variables", "host", "expected"),
    [
        ({"HTTPS_PROXY": "http://p:3128"}, "api.example", "http://p:3128"),
        ({"https_proxy": "http://p:3128"}, "api.example", "http://p:3128"),
        ({"https_proxy": "http://low", "HTTPS_PROXY": "http://up"}, "api.example", "http://low"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://up"}, "api.example", None),
        ({"HTTPS_PROXY": ""}, "api.example", None),
        ({"HTTPS_PROXY": "   "}, "api.example", None),
        ({"HTTP_PROXY": "http://p"}, "api.example", None),
        ({"ALL_PROXY": "socks5://p:1080"}, "api.example", "socks5://p:1080"),
        ({"ALL_PROXY": "socks5://p:1080", "HTTPS_PROXY": "p:1"}, "api.example", "http://p:1"),
        ({"HTTPS_PROXY": "foo"}, "api.example", "http://foo"),
        *(
            ({"HTTPS_PROXY": "http://p", "NO_PROXY": exempt}, host, None)
            for exempt, host in (
                ("*", "api.example"),
                ("api.example", "api.example"),
                ("other, api.example", "api.example"),
                (" other  api.example ", "api.example"),
                ("example", "api.example"),
                (".example", "api.example"),
                ("*.example", "api.example"),
                ("API.Example", "api.example"),
                ("api.example:443", "api.example"),
                ("10.0.0.0/8", "10.1.2.3"),
                ("10.1.2.3", "10.1.2.3"),
                ("10.1.2.3:443", "10.1.2.3"),
                ("fd00::/8", "fd00::1"),
                ("[fd00::1]", "fd00::1"),
                ("[fd00::1]:443", "fd00::1"),
                ("fd00::1", "[fd00::1]"),
                ("https://api.example", "api.example"),
            )
        ),
        *(
            ({"HTTPS_PROXY": "http://p", "NO_PROXY": exempt}, "api.example", "http://p")
            for exempt in (
                "other", "pi.example", "api.example.org", "api.example:80", "10.0.0.0/8", "10.0.0.0/99",
                "[", "]:", ":", "/", ",, ,", "..", "https://", "*:443x",
            )
        ),
        *(
            ({"ALL_PROXY": "http://p"}, host, None)
            for host in (
                "localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.1", "127.255.0.9", "0x7f000001",
                "2130706433", "::1", "[::1]", "::ffff:127.0.0.1", "0.0.0.0", "::",
            )
        ),
    ],
)  # fmt: skip
def test_the_proxy_of_an_address(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], host: str, expected: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_for("https", host, 443)
    assert (found.url if found else None) == expected


def test_a_script_of_a_web_server_takes_no_proxy_from_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://p")
    assert proxy_for("http", "a.example", 80)
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert proxy_for("http", "a.example", 80) is None


@pytest.mark.parametrize(
    "host", ["example.org", "10.0.0.1", "127.example", "localhost.example", "", "1.2.3.4.5"]
)
def test_other_hosts_are_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (
            "ALL_PROXY",
            "socks5://ana:pw-of-ana@p.example:1080",
            "socks5://p.example:1080 (ALL_PROXY) needs a package",
        ),
        ("all_proxy", "socks5h://p.example:1080", "pip install 'httpx2[socks]', or unset all_proxy"),
        ("HTTP_PROXY", "socks4://p.example", "is of a kind that cannot be used"),
        ("http_proxy", "foo://p.example", "is of a kind that cannot be used"),
        ("http_proxy", "http://", "is no address"),
        ("http_proxy", ":3128", "is no address"),
        ("http_proxy", "http://p.example:port", "is no address"),
        ("http_proxy", "http://[::1", "is no address"),
        ("HTTP_PROXY", "http://ana:pw-of-ana@p q", "is no address"),
    ],
)
def test_a_proxy_of_no_use_is_named(
    monkeypatch: pytest.MonkeyPatch, client: str, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    error = error_of(client, "http://model.example")
    assert said in str(error)
    assert variable in str(error)
    assert "pw-of-ana" not in str(error)
    assert not isinstance(error, ModelUnavailable)  # a retry cannot help


@pytest.mark.parametrize("client", NAMES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_whatever_proxy_is_set(
    monkeypatch: pytest.MonkeyPatch, client: str, host: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://p.example:1080")
    monkeypatch.setenv("http_proxy", "foo://")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")  # which a connection without TLS does not need
    with ProviderServer([Completion("ok")]) as server:
        anyio.run(asked, client, server.root.replace("127.0.0.1", host))
    assert len(server.seen) == 1


@contextmanager
def listening(answer: bytes = b"") -> Generator[tuple[str, list[bytes]]]:
    """A server that reads the head of each request and answers it so; yields its address and the heads."""
    heads: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                    head += piece
                heads.append(head)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_proxy_is_used_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with ProviderServer([Completion("ok")]) as server:  # takes requests for any host
        monkeypatch.setenv("HTTP_PROXY", server.root.replace("//", "//ana:pw@"))
        anyio.run(asked, "ollama", "http://model.example")
    assert server.headers[0]["host"] == "model.example"
    assert server.headers[0]["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    with listening(refused) as (address, heads):
        monkeypatch.setenv("HTTPS_PROXY", f"http://ana:pw-of-ana@{address}")
        error = error_of(client, "https://model.example")
    assert heads[0].startswith(b"CONNECT model.example:443 ")
    assert f"the proxy http://{address} (HTTPS_PROXY) refused (407" in str(error)
    assert "pw-of-ana" not in str(error)


def test_a_proxy_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as (address, _):
        pass
    monkeypatch.setenv("ALL_PROXY", f"http://ana:pw-of-ana@{address}")
    error = error_of("openai", "https://model.example")
    assert f"the proxy http://{address} (ALL_PROXY) cannot be reached" in str(error)
    assert "pw-of-ana" not in str(error)
    assert isinstance(error, ModelUnavailable)  # it may come back


# certificates


def garbage(folder: Path) -> dict[str, str]:
    (folder / "empty.pem").write_text("")
    (folder / "words.pem").write_text("no certificate")
    (folder / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (folder / "folder").mkdir()
    return {
        "missing": str(folder / "none.pem"),
        "empty": str(folder / "empty.pem"),
        "words": str(folder / "words.pem"),
        "half": str(folder / "half.pem"),
        "folder": str(folder / "folder"),
    }


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("variable", "kind", "said"),
    [
        ("SSL_CERT_FILE", "missing", "none.pem, which does not exist"),
        ("SSL_CERT_FILE", "empty", "empty.pem, which holds no certificates"),
        ("SSL_CERT_FILE", "words", "words.pem, which holds no certificates"),
        ("SSL_CERT_FILE", "half", "half.pem, which holds no certificates"),
        ("SSL_CERT_FILE", "folder", "folder, which is a folder"),
        ("SSL_CERT_DIR", "missing", "none.pem, which does not exist"),
        ("SSL_CERT_DIR", "words", "words.pem, which is no folder"),
        ("SSL_CERT_DIR", "folder", "folder, which holds no certificates"),
        ("REQUESTS_CA_BUNDLE", "missing", "none.pem, which does not exist"),
        ("REQUESTS_CA_BUNDLE", "empty", "empty.pem, which holds no certificates"),
        ("REQUESTS_CA_BUNDLE", "folder", "folder, which holds no certificates"),
    ],
)
def test_a_variable_that_names_no_certificates_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, client: str, variable: str, kind: str, said: str
) -> None:
    monkeypatch.setenv(variable, garbage(tmp_path)[kind])
    error = error_of(client, "https://localhost:1")
    assert f"{variable} names " in str(error)
    assert said in str(error)
    assert not isinstance(error, ModelUnavailable)


@contextmanager
def tls_server(certificate: trustme.LeafCert | None, folder: Path) -> Generator[str]:
    """A server with a certificate (None: one that is signed by itself); yields its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate is None:
        own = trustme.CA()
        chain = folder / "own.pem"
        chain.write_bytes(own.private_key_pem.bytes() + own.cert_pem.bytes())
        context.load_cert_chain(chain)
    else:
        certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    with ProviderServer() as server:
        server._server.socket = context.wrap_socket(server._server.socket, server_side=True)  # pyright: ignore[reportPrivateUsage]
        yield server.root.replace("http://127.0.0.1", "https://localhost")


LAST_YEAR = datetime.now(UTC) - timedelta(days=365)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("own", "its certificate is self-signed; if you trust it, set SSL_CERT_FILE"),
        (
            "stranger",
            "signed by an authority that this machine does not trust; if you trust it, set SSL_CERT_FILE",
        ),
        ("expired", "its certificate has expired; have it renewed"),
        ("other", "its certificate is for another host; check the address"),
        ("plain", "it does not speak TLS at this port; write http://"),
    ],
)
def test_a_server_that_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, client: str, kind: str, said: str
) -> None:
    authority = trustme.CA()
    if kind in ("expired", "other"):
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    if kind == "plain":
        with ProviderServer() as server:
            error = error_of(client, server.root.replace("http://127.0.0.1", "https://localhost"))
    else:
        name = "other.example" if kind == "other" else "localhost"
        expiry = LAST_YEAR if kind == "expired" else None
        certificate = None if kind == "own" else authority.issue_cert(name, not_after=expiry)
        with tls_server(certificate, tmp_path) as root:
            error = error_of(client, root)
    assert said in str(error)
    assert not isinstance(error, ModelUnavailable)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("client", NAMES)
def test_a_certificate_of_ones_own_is_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, client: str, variable: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    with tls_server(authority.issue_cert("localhost"), tmp_path) as root:
        anyio.run(asked, client, root)


# redirects


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_to_another_server_is_refused_and_gets_no_key(client: str, status: int) -> None:
    with (
        ProviderServer() as evil,
        listening(
            f"HTTP/1.1 {status} Away\r\nlocation: {evil.root}/v1/x\r\ncontent-length: 0\r\n\r\n".encode()
        ) as (address, heads),
    ):
        error = error_of(client, f"http://{address}")
    assert f"redirects to another server ({evil.root})" in str(error)
    assert len(heads) == 1
    assert not evil.seen
    assert not evil.looked_up


def test_a_redirect_within_a_server_is_followed() -> None:
    turn = RawReply(status=307, body=b"", headers={"location": "/api/chat?again=1"})
    with ProviderServer([turn, Completion("ok")]) as server:
        anyio.run(asked, "ollama", server.root)
    assert [request.key for request in server.seen] == [KEY, KEY]


# idle connections that the server has closed


@contextmanager
def closing_server(answers: int) -> Generator[tuple[str, list[int]]]:
    """An Ollama server that answers so many requests of a connection and reads the next one only to close,
    as llama-server does; yields its address, and the number of requests of each connection."""
    body = b'{"message": {"content": "ok"}, "done": true}\n'
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    counts: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def read(connection: socket.socket) -> bool:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(65536)):
                return False
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split()[0])
        while len(rest) < size:
            rest += connection.recv(65536)
        return True

    def one(connection: socket.socket, number: int) -> None:
        with connection:
            while read(connection):
                counts[number] += 1
                if counts[number] > answers:
                    return
                connection.sendall(answer)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            counts.append(0)
            threading.Thread(target=one, args=(connection, len(counts) - 1), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", counts
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_dead_idle_connection_is_no_failure() -> None:
    async def run(root: str) -> None:
        catalogue = Catalogue({"OLLAMA_HOST": root})
        (target,) = catalogue.targets("ollama:m")
        model = catalogue.adapter(target, 8192, ModelOptions())
        for _ in range(40):  # without a retry every third one fails
            assert [item async for item in model.stream(PROMPT)]
        await catalogue.aclose()

    with closing_server(answers=2) as (root, counts):
        anyio.run(run, root)
    assert sum(min(count, 2) for count in counts) == 40


def test_a_fresh_connection_that_is_closed_is_tried_once() -> None:
    with closing_server(answers=0) as (root, counts):
        error = error_of("ollama", root)
    assert isinstance(error, ModelUnavailable)
    assert counts == [1]


# headers that say how long to wait


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
        (
            {
                "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "3s",
            },
            3.0,
        ),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "12"}, 12.0),
        ({"ratelimit-reset": "12"}, 12.0),
        ({"x-ratelimit-remaining": "many", "x-ratelimit-reset": "1.2.3s"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_wait_that_a_server_asks_for(headers: Mapping[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == pytest.approx(seconds)


def test_a_wait_until_a_moment() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    stamp = soon.timestamp()
    for name, value in (
        ("retry-after", format_datetime(soon, usegmt=True)),
        ("anthropic-ratelimit-requests-reset", soon.isoformat()),
        ("anthropic-ratelimit-requests-reset", soon.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("x-ratelimit-reset", str(int(stamp))),
        ("x-ratelimit-reset", str(int(stamp * 1000))),
    ):
        wait = retry_after({name: value})
        assert wait is not None
        assert 20 < wait <= 31


def test_an_answer_may_be_the_last_for_a_while() -> None:
    used_up = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"}
    assert pause_until_reset(used_up) == 2.0
    assert pause_until_reset(used_up | {"x-ratelimit-remaining-requests": "1"}) is None
    assert pause_until_reset({"retry-after": "5"}) is None
