"""Images in messages of Letta's clients: they enter with the message, and name no file of the server."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from conftest import Machine, Served, served
from image_files import JPEG, PNG
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio


def image(**source: object) -> dict[str, Any]:
    return {"type": "image", "source": source}


def base64(data: bytes, media_type: str = "image/png") -> dict[str, Any]:
    return image(type="base64", media_type=media_type, data=b64encode(data).decode())


async def sent(server: Served, *parts: dict[str, Any], way: str = "messages") -> Any:
    id = (await server.client.get("/v1/agents/")).json()[0]["id"]
    body = {"messages": [{"role": "user", "content": list(parts)}]}
    return await server.client.post(f"/v1/agents/{id}/{way}", json=body)


async def test_images_enter_with_the_message(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Seen.")]] * 3)) as rig, served(rig.kernel) as server:
        url = "data:image/jpeg;base64," + b64encode(JPEG).decode()
        answer = await sent(server, {"type": "text", "text": "Look"}, base64(PNG), image(type="url", url=url))
        assert [each["message_type"] for each in answer.json()["messages"]] == ["assistant_message"]
        assert "Seen." in (await sent(server, base64(PNG), way="messages/stream")).text
        assert (await sent(server, base64(PNG), way="messages/async")).status_code == 200
        await rig.kernel.idle()
        first, second, third = await rig.events()
        assert (first.text, [each.media_type for each in first.media]) == (
            "Look",
            ["image/png", "image/jpeg"],
        )
        assert [len(each.media) for each in (second, third)] == [1, 1]


@pytest.mark.parametrize(
    ("part", "status", "why"),
    [
        (image(type="url", url="/etc/passwd"), 400, "https: or a data: address"),
        (image(type="url", url="file:///etc/passwd"), 400, "https: or a data: address"),
        (image(type="base64", media_type="image/png", data="%%%"), 400, "no bytes in base64"),
        (base64(b"hello", "text/plain"), 400, "no image"),
        (image(type="base64", data="aGk="), 400, "media_type and data"),
        (image(type="letta", file_id="file-1"), 501, "by file_id"),
        ({"type": "image", "source": "x.png"}, 400, "a source with url"),
        ({"type": "image"}, 400, "a source with url"),
    ],
)
async def test_what_is_no_image_is_refused(
    machine: Machine, part: dict[str, Any], status: int, why: str
) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        answer = await sent(server, {"type": "text", "text": "Look"}, part)
        assert (answer.status_code, why in answer.json()["detail"]) == (status, True), answer.text
        assert await rig.events() == []
