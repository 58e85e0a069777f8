"""Images in a prompt over real HTTP: the bytes that arrive in each shape, and where they stand in it."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest

from adapters import NAMES, adapter_at, error_of
from pagefault.errors import BodyTooLarge, ImagesUnsupported, ModelError, RequestRefused, ToolsUnsupported
from pagefault.models import Call, Prompt, PromptMessage
from pagefault.testing.models import PROMPT
from pagefault.testing.providers import ProviderServer, Shape, refuse
from pictures import BLUE, GREEN, RED

pytestmark = pytest.mark.anyio

SHAPES = tuple(NAMES)


SEEN = replace(
    PROMPT,
    messages=(
        PromptMessage("system", "Be brief."),
        PromptMessage("user", "Two pictures.", images=(RED, BLUE)),
        PromptMessage("assistant", "", (Call("call_1", "note", "{}"), Call("call_2", "note", "{}"))),
        PromptMessage("tool", "A chart.", call_id="call_1", name="note", images=(GREEN,)),
        PromptMessage("tool", "Kept.", call_id="call_2", name="note"),
        PromptMessage("user", "And now?"),
    ),
)


async def sent(shape: Shape, *prompts: Prompt) -> list[dict[str, Any]]:
    """The bodies of the requests for the prompts."""
    with ProviderServer() as server:
        async with adapter_at(server, NAMES[shape]) as model:
            for prompt in prompts:
                assert [item async for item in model.stream(prompt)]
    return server.requests


def bytes_in(body: dict[str, Any]) -> list[bytes]:
    """The images of a body, in the order in which they stand in it."""
    texts = re.findall(r'"(?:data:image/\w+;base64,)?([\w+/-]{1000,}=*)"', json.dumps(body))
    return [b64decode(text.replace("-", "+").replace("_", "/")) for text in texts]


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_image_arrives_byte_for_byte_and_in_order(shape: Shape) -> None:
    (body,) = await sent(shape, SEEN)
    assert bytes_in(body) == [RED.data, BLUE.data, GREEN.data]


async def test_openai_is_sent_data_urls_and_the_images_of_results_behind_the_last_of_them() -> None:
    (body,) = await sent("openai", SEEN)
    _, asked, called, first, second, behind, last = body["messages"]
    url = f"data:image/jpeg;base64,{b64encode(BLUE.data).decode()}"
    assert asked["content"][0] == {"type": "text", "text": "Two pictures."}
    assert asked["content"][2] == {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    assert [each["tool_call_id"] for each in (first, second)] == [each["id"] for each in called["tool_calls"]]
    assert (first["content"], second["content"]) == ("A chart.", "Kept.")
    assert behind["role"] == "user"
    assert [part.get("text") for part in behind["content"]] == ["[images returned by note]", None]
    assert last == {"role": "user", "content": "And now?"}


async def test_ollama_is_sent_base64_beside_the_text() -> None:
    (body,) = await sent("ollama", SEEN)
    asked, behind = body["messages"][1], body["messages"][5]
    assert asked["content"] == "Two pictures."
    assert asked["images"] == [b64encode(image.data).decode() for image in (RED, BLUE)]
    assert (behind["role"], len(behind["images"])) == ("user", 1)
    assert [message["role"] for message in body["messages"] if "images" in message] == ["user", "user"]


async def test_anthropic_is_sent_blocks_also_within_a_result_and_its_marks_stand() -> None:
    (body,) = await sent("anthropic", SEEN)
    first, _, results = body["messages"]
    source = {"type": "base64", "media_type": "image/jpeg", "data": b64encode(BLUE.data).decode()}
    assert first["content"][2]["source"] == source
    assert [block["type"] for block in first["content"]] == ["text", "image", "image"]
    assert [block["type"] for block in results["content"][0]["content"]] == ["text", "image"]
    marked = [
        block["type"] for turn in (first, results) for block in turn["content"] if "cache_control" in block
    ]
    assert marked == ["image", "text"]  # the end of the request before, and of this one


async def test_gemini_is_sent_inline_data() -> None:
    (body,) = await sent("gemini", SEEN)
    parts = [part for turn in body["contents"] for part in turn["parts"] if "inlineData" in part]
    kinds = [part["inlineData"].get("mimeType", part["inlineData"].get("mime_type")) for part in parts]
    assert kinds == ["image/png", "image/jpeg", "image/webp"]


def pieces(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Role and content of each piece of the messages, without marks of the cache."""
    found: list[tuple[str, Any]] = []
    for message in body.get("messages") or body["contents"]:
        content: Any = message.get("content", message.get("parts"))
        parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else [message]
        for part in parts:
            found.append((message["role"], {key: part[key] for key in part if key != "cache_control"}))
    return found


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_prompt_with_images_that_goes_on_begins_with_the_same_pieces(shape: Shape) -> None:
    bodies = await sent(shape, *[replace(SEEN, messages=SEEN.messages[:end]) for end in (2, 5, 6)])
    for before, after in pairwise(bodies):
        assert pieces(after)[: len(pieces(before))] == pieces(before)


# refusals


async def test_a_request_of_too_many_bytes_is_told_from_one_of_too_many_tokens() -> None:
    error = await error_of(NAMES["openai"], refuse(413, "Request Entity Too Large"))
    assert type(error) is BodyTooLarge


BLIND = (
    ("openai", 400, "Invalid content type. image_url is only supported by certain models."),
    ("openai", 404, "No endpoints found that support image input"),
    ("openai", 500, "image input is not supported - hint: you may need to provide the mmproj"),
    ("openai", 400, "qwen3 is not a multimodal model"),
    ("openai", 400, "At most 0 image(s) may be provided in one prompt."),
    ("openai", 422, "messages[1]: unknown variant `image_url`, expected `text`"),
    ("openai", 400, "'messages.1' : content must be a string"),
    ("openai", 400, "Image inputs are not supported by this model."),
    ("openai", 400, "Model does not support images. Please use a model that does."),
    ("openai", 400, "Only 'text' content type is supported."),
    ("ollama", 400, "this model does not support image input"),
    ("ollama", 500, "this model is missing data required for image input"),
    ("gemini", 400, "Image input modality is not enabled for models/gemma-3-1b-it"),
    ("anthropic", 400, "This model does not support image input."),
)


@pytest.mark.parametrize(("shape", "status", "said"), BLIND)
async def test_a_server_that_takes_no_images_is_understood(shape: Shape, status: int, said: str) -> None:
    error = await error_of(NAMES[shape], refuse(status, said))
    assert type(error) is ImagesUnsupported
    assert "does not take images" in str(error)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Could not process image", RequestRefused),
        ("You uploaded an unsupported image. Please make sure your image is valid.", RequestRefused),
        ("image format is not supported", RequestRefused),
        ("Animated GIF images are not supported", RequestRefused),
        ("WebP images are not supported.", RequestRefused),
        ("The model does not support images larger than 8000 pixels", RequestRefused),
        ("No endpoints found that support tool use", ToolsUnsupported),
    ],
)
async def test_other_refusals_do_not_say_that_the_model_is_blind(said: str, kind: type[ModelError]) -> None:
    assert type(await error_of(NAMES["openai"], refuse(400, said))) is kind
