"""Loading a URL: what is fetched, and the hosts, redirects and bodies that are refused."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import MockTransport, Request, Response

from pagefault.config import LoadingSettings
from pagefault.errors import UsageError
from pagefault.ingest import Url, find
from pagefault.ingest.fetching import Fetched, WebTransport, fetch, is_public, stay_secure

pytestmark = pytest.mark.anyio

LIMITS = LoadingSettings(download=1)
PAGE = b"<html><title>Tides</title><p>The tide turns.</p></html>"
BOMB = gzip.compress(bytes(64 << 20))


class _Server(BaseHTTPRequestHandler):
    """``/to?at=URL`` redirects; ``/as?packing=gzip&body=bomb`` sends a body; everything is counted."""

    asked: list[str]

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        self.asked.append(f"{self.headers['host']}{place.path}")
        body = {
            "bomb": BOMB,
            "gzip": gzip.compress(PAGE),
            "zlib": zlib.compress(PAGE),
            "long": bytes(2 << 20),
        }
        data = body.get(query.get("body", ""), PAGE)
        self.send_response(302 if "at" in query else 200)
        if "at" in query:
            self.send_header("Location", query["at"])
        if "packing" in query:
            self.send_header("Content-Encoding", query["packing"])
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # it hung up on a body that is too long
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def site(asked: list[str]) -> Generator[str]:
    handler = type("Handler", (_Server,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def refusal(address: str, *, near: bool = True, private: bool = False) -> str:
    with pytest.raises(UsageError) as caught:
        await fetch(address, LIMITS.model_copy(update={"private": private}), near=near)
    said = str(caught.value)
    assert said.endswith(".")
    assert "\n" not in said
    return said


HIDDEN = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
]


@pytest.mark.parametrize("host", HIDDEN)
async def test_a_redirect_into_this_machine_or_its_network_is_refused(
    site: str, asked: list[str], host: str
) -> None:
    port = site.partition(":")[2]
    for place in (f"http://{host}/", f"http://me:pw@{host}:9/x?key=secret"):
        said = await refusal(f"http://{site}/to?at={place}")
        assert "private network" in said or "It cannot be fetched" in said, said
        assert "secret" not in said
    assert asked == [f"127.0.0.1:{port}/to"] * 2


@pytest.mark.parametrize("host", HIDDEN)
async def test_by_default_no_address_of_this_machine_or_its_network_is_fetched(
    site: str, asked: list[str], host: str
) -> None:
    said = await refusal(f"http://{host}:{site.partition(':')[2]}/", near=False)
    assert "private network" in said or "It cannot be fetched" in said, said
    assert asked == []


async def test_an_address_nearby_that_a_person_wrote_is_fetched_and_its_redirects_to_itself(
    site: str,
) -> None:
    found = await fetch(f"http://{site}/to?at=/tides", LIMITS, near=True)
    assert found == Fetched(PAGE, f"http://{site}/tides", "text/html")
    (source,) = find([f"http://me:pw@{site}/to?at=/tides"], typed=True)
    assert isinstance(source, Url)
    read = await source.read(LIMITS)
    assert (read.file, read.name) == ("tides", f"http://{site}/tides")
    (strict,) = find([f"http://{site}/tides"])
    assert isinstance(strict, Url)
    with pytest.raises(UsageError, match="private network; load a file of it, or set private = true"):
        await strict.read(LIMITS)


async def test_the_setting_allows_what_is_nearby(site: str) -> None:
    limits = LIMITS.model_copy(update={"private": True})
    port = site.partition(":")[2]
    found = await fetch(f"http://{site}/to?at=http://localhost:{port}/x", limits)
    assert found.url == f"http://localhost:{port}/x"


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "ftp://example.org/a", "gopher://x/", "data:text/plain,x"]
)
async def test_a_redirect_to_what_is_not_the_web_is_refused(site: str, place: str) -> None:
    assert "fetched" in await refusal(f"http://{site}/to?at={place}")


@pytest.mark.parametrize("packing", ["gzip", "x-gzip", "deflate"])
async def test_a_packed_body_is_unpacked_within_the_limit(site: str, packing: str) -> None:
    body = "zlib" if packing == "deflate" else "gzip"
    assert (await fetch(f"http://{site}/as?packing={packing}&body={body}", LIMITS, near=True)).data == PAGE
    said = await refusal(f"http://{site}/as?packing={packing}&body=bomb")
    assert said == "It is larger than 1 MB; split it, or raise download under [loading] in config.toml."
    assert "damaged" in await refusal(f"http://{site}/as?packing={packing}&body=plain")


async def test_a_long_body_and_an_unknown_packing_are_refused(site: str) -> None:
    assert "larger than 1 MB" in await refusal(f"http://{site}/as?body=long")
    assert "not asked for" in await refusal(f"http://{site}/as?packing=br")
    assert "not asked for" in await refusal(f"http://{site}/as?packing=gzip,gzip")


PUBLIC = ("8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111", "64:ff9b::808:808")
NOT_PUBLIC = (
    "192.0.2.1", "240.0.0.1", "fec0::1", "64:ff9b:1::1", "2001:db8::1", "fe80::1%eth0", "ff02::1",
    "2002:a00:1::", "2001:0:1::1", "words", "",
)  # fmt: skip


@pytest.mark.parametrize("address", [*PUBLIC, *NOT_PUBLIC])
async def test_which_addresses_are_of_the_web(address: str) -> None:
    assert is_public(address) is (address in PUBLIC)


async def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, sent = list[str](), list[Request]()

    def rebinding(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 2 else "8.8.8.8"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def answer(request: Request) -> Response:
        sent.append(request)
        return Response(200)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    first = Request("GET", "https://rebind.example/a?b=c")
    guard = WebTransport(MockTransport(answer), first.url, private=False, near=False)
    await guard.handle_async_request(first)
    with pytest.raises(UsageError, match=r"Its server is rebind\.example, which is this machine or"):
        await guard.handle_async_request(first)
    assert [str(request.url) for request in sent] == ["https://8.8.8.8/a?b=c"]
    assert sent[0].headers["host"] == sent[0].extensions["sni_hostname"] == "rebind.example"


async def test_a_secure_connection_is_not_redirected_to_an_open_one() -> None:
    response = Response(302, headers={"location": "http://8.8.8.8/a"})
    response.request = Request("GET", "https://8.8.8.8/a")
    with pytest.raises(UsageError, match="from https to http"):
        await stay_secure(response)


async def test_names_keep_no_secret_and_tell_queries_apart() -> None:
    one, two = (Url(f"https://me:pw@example.org/a?token={token}#top").name for token in ("x", "y"))
    assert one.startswith("https://example.org/a#")
    assert one != two
    assert "token" not in one + two
