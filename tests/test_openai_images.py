"""Images in requests of OpenAI's clients: they enter with the message, and name no file of the server."""

from __future__ import annotations

from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from conftest import Machine, served
from image_files import JPEG, PNG
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio


def address(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def chat(*urls: str, text: str = "Look") -> dict[str, Any]:
    images = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in urls]
    content = [{"type": "text", "text": text}, *images]
    return {"model": "ana", "messages": [{"role": "user", "content": content}]}


async def test_images_enter_with_the_message(machine: Machine) -> None:
    model = ScriptedModel([[say("A line.")], [say("Another.")]])
    async with machine.open(model) as rig, served(rig.kernel) as server:
        answer = await server.client.post("/v1/chat/completions", json=chat(address(PNG), address(JPEG)))
        assert answer.json()["choices"][0]["message"]["content"] == "A line."
        image = {"type": "input_image", "image_url": address(PNG).replace("data:", "DATA:", 1)}
        item = {"role": "user", "content": [{"type": "input_text", "text": "And this?"}, image]}
        answer = await server.client.post("/v1/responses", json={"model": "ana", "input": [item]})
        assert answer.json()["status"] == "completed"
        first, second = await rig.events()
        assert [(each.media_type, each.width) for each in first.media] == [
            ("image/png", 3),
            ("image/jpeg", 9),
        ]
        assert (second.text, [each.size for each in second.media]) == ("And this?", [len(PNG)])


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("/etc/passwd", "https: or a data: address"),
        ("file:///etc/passwd", "https: or a data: address"),
        ("~/secret.png", "https: or a data: address"),
        ("image.png", "https: or a data: address"),
        ("http://127.0.0.1:1/a.png", "cannot be attached"),
        ("http:///etc/passwd", "address"),
        ("data:image/png;base64,%%%", "no bytes in base64"),
        ("data:text/plain;base64,aGVsbG8=", "no image"),
    ],
)
async def test_what_is_no_image_is_refused(machine: Machine, url: str, why: str) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        answer = await server.client.post("/v1/chat/completions", json=chat(url))
        assert (answer.status_code, why in answer.json()["error"]["message"]) == (400, True), answer.text
        assert await rig.events() == []


async def test_an_image_of_the_servers_folder_is_not_read(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "https:").mkdir()
    (tmp_path / "https:" / "a.png").write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        answer = await server.client.post("/v1/chat/completions", json=chat("https:/a.png"))
        assert answer.status_code == 400
        assert await rig.events() == []


async def test_a_message_takes_twenty_images(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        answer = await server.client.post(
            "/v1/chat/completions", json=chat(*["https://a.example/x.png"] * 21)
        )
        assert (answer.status_code, "up to 20 images" in answer.json()["error"]["message"]) == (400, True)
        assert await rig.events() == []


async def test_a_key_that_is_used_again_with_another_image_is_refused(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("A line.")]])) as rig, served(rig.kernel) as server:
        client, key = server.client, {"Idempotency-Key": "k"}
        for image, status in ((PNG, 200), (PNG, 200), (JPEG, 400)):
            answer = await client.post("/v1/chat/completions", json=chat(address(image)), headers=key)
            assert answer.status_code == status
        assert "was used for another event" in answer.json()["error"]["message"]


async def test_an_address_that_redirects_into_the_servers_network_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy stands for a public server, which redirects to the loopback, where an image is."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            is_public = self.path.startswith("http://images.example/")
            self.send_response(302 if is_public else 200)
            self.send_header("location", f"http://127.0.0.1:{proxy.server_port}/secret.png")
            self.end_headers()
            self.wfile.write(b"" if is_public else PNG)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("no_proxy", "")
        async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
            url = "http://images.example/a.png"
            item = {"role": "user", "content": [{"type": "input_image", "image_url": url}]}
            for path, body in (
                ("/v1/chat/completions", chat(url)),
                ("/v1/responses", {"model": "ana", "input": [item]}),
            ):
                answer = await server.client.post(path, json=body)
                assert (answer.status_code, "private network" in answer.text) == (400, True), answer.text
            assert await rig.events() == []
        proxy.shutdown()
    assert asked == [url, url]
