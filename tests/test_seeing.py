"""Which models are sent images, what these take in tokens, and what happens when a server refuses them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pagefault.context.admission import admit
from pagefault.context.calibration import Calibration
from pagefault.errors import BodyTooLarge, ImagesUnsupported, ModelError, ModelUnavailable, RequestRefused
from pagefault.media import NOT_SHOWN, Media, MediaContent
from pagefault.message_meta import MessageMeta, RequestUsage, Usage, meta_of, values_of
from pagefault.models import Completion, Notice, Prompt, PromptMessage, StreamItem
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.directory.findings import Findings
from pagefault.models.directory.sight import is_blind
from pagefault.models.directory.single import SingleModelSource
from pagefault.models.endpoint import ModelFinding, RequestSettings
from pagefault.models.image_tokens import image_tokens
from pagefault.models.tokens import HeuristicCounter
from pagefault.models.wrappers.images import ImagesModel
from pagefault.testing.models import PROMPT, ScriptedModel, end_of
from pagefault.testing.providers import ProviderRequest, ProviderServer, Turn, refuse
from pagefault.testing.store_opening import NOW
from pagefault.types import Message, Role
from pictures import BLUE, GREEN, RED, picture

pytestmark = pytest.mark.anyio


def showing(*images: MediaContent) -> Prompt:
    """A prompt with a message for each image."""
    shown = (PromptMessage("user", f"Look: {image.media.name}", images=(image,)) for image in images)
    return replace(PROMPT, messages=(*PROMPT.messages, *shown))


# tokens

SIZES = (
    ("openai:gpt-4o", 1024, 1024, 765),  # the examples of OpenAI's guide
    ("openai:gpt-4o", 2048, 4096, 1105),
    ("openai:gpt-4o", 500, 500, 255),
    ("openai:gpt-4.1-mini", 1024, 1024, 1659),  # 1,024 patches, 1.62 tokens each
    ("openai:gpt-4.1-mini", 1800, 2400, 2353),  # 1,452 patches
    ("openai:gpt-5", 1024, 1024, 630),
    ("openai:o3", 1024, 1024, 675),
    ("openai:gpt-5.5", 4032, 3024, 2942),  # as measured with the detail that is asked for
    ("openai:gpt-5.6", 2560, 1440, 2931),
    ("openai:gpt-5.6", 256, 256, 77),
    ("anthropic:claude-opus-4-8", 1920, 1080, 2691),  # the examples of Anthropic's guide
    ("anthropic:claude-opus-5", 3840, 2160, 4784),
    ("openrouter:anthropic/claude-haiku-4.5", 1000, 1000, 1296),
    ("anthropic:claude-haiku-4-5", 1075, 1520, 1568),
    ("google:gemini-2.5-flash", 384, 384, 258),
    ("google:gemini-2.5-flash", 960, 540, 1548),  # six tiles
    ("google:gemini-3.5-flash", 4000, 3000, 1120),
    ("ollama:qwen2.5vl:7b", 280, 280, 100),
    ("ollama:llava", 280, 280, 100),
    ("ollama:llava", 9000, 9000, 4096),
)


@pytest.mark.parametrize(("model", "width", "height", "tokens"), SIZES)
def test_the_tokens_of_an_image_are_those_of_its_providers_rule(
    model: str, width: int, height: int, tokens: int
) -> None:
    assert image_tokens(model, Media("h", "image/png", "a.png", 1, width, height)) == tokens


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-5.6", "gpt-5-mini", "claude-3", "claude-opus-5", "gemini-2.5", "x"]
)
@pytest.mark.parametrize("size", [(0, 0), (1, 1), (1, 100_000), (100_000, 1), (60_000, 60_000)])
def test_no_size_makes_an_image_cost_nothing_or_without_bound(model: str, size: tuple[int, int]) -> None:
    assert 0 < image_tokens(model, Media("h", "image/png", "a.png", 1, *size)) < 17_000


# models that are known to be blind


def test_names_of_models_without_eyes_are_known() -> None:
    blind = (
        "gpt-3.5-turbo gpt-4 o3-mini gpt-oss-20b deepseek-chat llama3.1:8b qwen3:8b gemma3:1b phi4 offline"
    )
    assert [name for name in blind.split() if not is_blind(name)] == []
    seeing = "gpt-4o gpt-4-turbo o3 claude-haiku-4-5 llama3.2-vision qwen3-vl:8b qwen3.6 gemma3:4b llava m"
    assert [name for name in seeing.split() if is_blind(name)] == []


async def sent(
    catalogue: Catalogue, name: str, prompt: Prompt, images: bool | None = None
) -> list[StreamItem]:
    model = catalogue.model(name, 8192, RequestSettings(images=images))
    return [item async for item in model.stream(prompt)]


@pytest.mark.parametrize(
    ("model", "setting", "arrives"),
    [("gpt-4o", None, True), ("gpt-4o", False, False), ("gpt-4", None, False), ("gpt-4", True, True)],
)
async def test_the_setting_outweighs_the_name(model: str, setting: bool | None, arrives: bool) -> None:
    with ProviderServer() as server:
        catalogue = Catalogue(server.environment)
        await sent(catalogue, f"vllm:{model}", showing(RED), setting)
        await catalogue.aclose()
        counted = catalogue.image_tokens(f"vllm:{model}", setting)(RED.media)
    (body,) = server.bodies
    assert (b"data:image/png" in body, NOT_SHOWN.encode() in body) == (arrives, not arrives)
    assert bool(counted) == arrives


def test_the_offline_model_is_not_shown_images() -> None:
    assert Catalogue({}).image_tokens("offline", None)(RED.media) == 0


def test_of_several_models_the_dearest_that_sees_counts() -> None:
    catalogue = Catalogue({"OPENAI_API_KEY": "k"})
    count = catalogue.image_tokens("openai:gpt-4,openai:gpt-4o,openai:gpt-4.1-nano", None)
    assert count(RED.media) == image_tokens("gpt-4.1-nano", RED.media)


async def test_a_model_given_by_the_program_is_sent_images_unless_the_setting_says_no() -> None:
    scripted = ScriptedModel([])
    source = SingleModelSource(scripted)
    for images in (None, False):
        model = source.model("", 8192, RequestSettings(images=images))
        assert [item async for item in model.stream(showing(RED))]
    seen, hidden = (prompt.messages[-1] for prompt in scripted.prompts)
    assert (seen.images, hidden.images) == ((RED,), ())
    assert hidden.text.endswith(NOT_SHOWN)
    assert source.image_tokens("", False)(RED.media) == 0 < source.image_tokens("", None)(RED.media)


# a server that refuses

NO_IMAGES = refuse(400, "Invalid content type. image_url is only supported by certain models.")


async def test_a_server_without_images_is_asked_without_them_and_remembered(tmp_path: Path) -> None:
    def turn(request: ProviderRequest) -> Turn:
        return NO_IMAGES if b"image_url" in request.raw else Completion("I see nothing.")

    findings = Findings(tmp_path / "models.json")
    with ProviderServer(turn) as server:
        name = f"{server.url}#m"
        catalogue = Catalogue({}, findings=findings)
        count = catalogue.image_tokens(name, None)
        assert count(RED.media)
        items = await sent(catalogue, name, showing(RED))
        (notice,) = (item for item in items if isinstance(item, Notice))
        assert notice.restart
        assert "does not take images" in notice.text
        assert end_of(items).text == "I see nothing."
        assert notice.text in end_of(items).notes
        assert len(server.requests) == 2
        await sent(catalogue, name, showing(RED, BLUE))
        assert len(server.requests) == 3, "it is not tried again"
        assert count(RED.media) == 0
        await catalogue.aclose()
        later = Catalogue({}, findings=findings)
        await sent(later, name, showing(RED))
        assert len(server.requests) == 4, "nor by a later process"
        await later.aclose()
    assert findings.of(name) == ModelFinding(images=False)
    assert [b"image_url" in body for body in server.bodies] == [True, False, False, False]


class Picky:
    """A model that refuses some prompts for their images; ``seen`` are the names of those in each."""

    name, window = "picky", 8192

    def __init__(self, refuses: Callable[[Sequence[str]], Exception | None]) -> None:
        self.refuses, self.seen = refuses, list[list[str]]()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        names = [image.media.name[0] for message in prompt.messages for image in message.images]
        self.seen.append(names)
        if error := self.refuses(names):
            raise error
        yield Completion("ok")


async def ask(model: ImagesModel, *images: MediaContent) -> list[StreamItem]:
    return [item async for item in model.stream(showing(*images))]


@pytest.mark.parametrize("kind", [RequestRefused, BodyTooLarge])
async def test_one_bad_image_is_withheld_and_the_others_are_still_shown(kind: type[ModelError]) -> None:
    picky = Picky(lambda names: kind("Could not process image") if "b" in names else None)
    model = ImagesModel(picky, lambda: True)
    await ask(model, RED)
    items = await ask(model, RED, BLUE)
    await ask(model, RED, BLUE, GREEN)
    assert picky.seen == [["r"], ["r", "b"], ["r"], ["r", "g"]]
    assert [item.text for item in items if isinstance(item, Notice)] == [
        "Could not process image. It was asked again without an image."
    ]


async def test_a_message_says_whether_all_or_some_of_its_images_are_withheld() -> None:
    texts = list[str]()

    class Server(Picky):
        async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
            texts.extend(message.text for message in prompt.messages if "image" in message.text)
            async for item in super().stream(prompt):
                yield item

    server = Server(lambda names: RequestRefused("bad") if "b" in names else None)
    model = ImagesModel(server, lambda: True)
    await ask(model, RED)
    both = PromptMessage("user", "images", images=(RED, BLUE))
    async for _ in model.stream(replace(PROMPT, messages=(both, replace(both, images=(BLUE,))))):
        pass
    assert texts[-2:] == ["images\n[not all of these images are shown to you]", f"images\n{NOT_SHOWN}"]


async def test_too_many_images_leave_the_newest() -> None:
    said = "At most 1 image(s) may be provided in one prompt."
    picky = Picky(lambda names: RequestRefused(said) if len(names) > 1 else None)
    model = ImagesModel(picky, lambda: True)
    await ask(model, RED)
    await ask(model, RED, BLUE)
    await ask(model, RED, BLUE, GREEN)
    assert picky.seen == [["r"], ["r", "b"], ["b"], ["b", "g"], ["g"]]


async def test_the_same_image_twice_where_one_is_too_many_ends_in_none() -> None:
    picky = Picky(lambda names: RequestRefused("up to 1 images") if len(names) > 1 else None)
    await ask(ImagesModel(picky, lambda: True), RED, RED)
    assert picky.seen == [["r", "r"], []]


async def test_a_refusal_that_images_do_not_explain_is_raised_and_they_are_shown_again() -> None:
    errors: list[Exception | None] = [RequestRefused("no"), RequestRefused("no"), None]
    picky = Picky(lambda _: errors.pop(0))
    model = ImagesModel(picky, lambda: True)
    with pytest.raises(RequestRefused, match="no"):
        await ask(model, RED)
    await ask(model, RED)
    assert picky.seen == [["r"], [], ["r"]]


@pytest.mark.parametrize("error", [ModelUnavailable("later"), ImagesUnsupported("blind")])
async def test_other_errors_and_prompts_without_images_pass_through(error: Exception) -> None:
    model = ImagesModel(Picky(lambda _: error), lambda: True)
    with pytest.raises(type(error)):
        await ask(model)
    if isinstance(error, ModelUnavailable):
        with pytest.raises(ModelUnavailable):
            await ask(model, RED)


async def test_json_mode_passes_images_through_those_of_results_too() -> None:
    result = PromptMessage("tool", "A chart.", call_id="c", name="note", images=(GREEN,))
    prompt = replace(showing(RED), messages=(*showing(RED).messages, result))
    with ProviderServer() as server:
        catalogue = Catalogue(server.environment)
        model = catalogue.model("vllm:m", 8192, RequestSettings(calling="json"))
        assert [item async for item in model.stream(prompt)]
        await catalogue.aclose()
    (body,) = server.requests
    images = [
        part["type"]
        for each in body["messages"]
        if isinstance(each["content"], list)
        for part in each["content"]
    ]
    assert images == ["text", "image_url", "text", "image_url"]


# rows


def admitted(*images: MediaContent, tokens: int, size: int = 1000) -> Message:
    meta = MessageMeta(media=tuple(image.media for image in images))
    draft = Message(Role.USER, "Look", NOW, "[user] {}", meta=meta)
    count: Callable[[Media], int] = lambda _: tokens  # noqa: E731
    (row,) = admit([draft], last_seq=0, event=1, size=size, counter=HeuristicCounter(), image_tokens=count)
    return row


def test_an_image_counts_with_its_row() -> None:
    seen, dear = admitted(RED, BLUE, tokens=300), admitted(RED, BLUE, tokens=350)
    assert 600 < seen.tokens == dear.tokens - 100
    assert "not shown" not in seen.shown
    assert seen.meta.shown_images == (RED.media, BLUE.media)
    assert meta_of(values_of(seen.meta)) == seen.meta


def test_a_row_says_of_which_images_the_model_sees_nothing() -> None:
    blind = admitted(RED, tokens=0)
    assert (blind.shown.splitlines()[2:], blind.meta.shown_images) == ([NOT_SHOWN], ())
    assert blind.shown.startswith("[user] Look\n[image r.png, 640 x 480,")
    some = admitted(RED, BLUE, GREEN, tokens=800)  # half of the room for messages
    assert some.shown.splitlines()[4:] == ["[only the first 2 are shown to you]"]
    assert some.meta.shown_images == (RED.media, BLUE.media)
    assert NOT_SHOWN in admitted(picture("h"), tokens=5000).shown


def test_what_is_no_image_is_not_missed() -> None:
    assert "shown to you" not in admitted(picture("f", "application/pdf"), tokens=800).shown


# the ratio of reported to counted tokens


def test_a_prompt_with_images_moves_no_ratio() -> None:
    request = RequestUsage("a", Usage(input=9000), counted=1000, images=True)
    assert Calibration().moved(1.3, request) == 1.3
    assert request.ratio is None
