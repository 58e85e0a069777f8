"""The catalogue of models with providers of plug-ins: names, keys, wrappers, and faults of a plug-in."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from pagefault.build import catalogue_of
from pagefault.config import load_installation
from pagefault.errors import ToolsUnsupported
from pagefault.models import Completion, Delta, FunctionSchema, Prompt, PromptMessage, StreamItem
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.directory.providers import plugin_provider
from pagefault.models.endpoint import AdapterFactory, Endpoint, ModelOptions, RequestSettings, Vendor

pytestmark = pytest.mark.anyio

PROMPT = Prompt((PromptMessage("system", "Be brief."), PromptMessage("user", "Hello")), (), 100)


class Echo:
    """A plug-in's model: repeats the last message."""

    def __init__(self, model: str, window: int, endpoint: Endpoint, options: ModelOptions) -> None:
        self.name, self.window, self.endpoint, self.options = model, window, endpoint, options

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        if prompt.functions:
            raise ToolsUnsupported("Echo has no functions.")
        text = prompt.messages[-1].text
        yield Delta(text)
        yield Completion(text, model=self.name)


def load() -> AdapterFactory:
    return Echo


async def test_a_plug_in_serves_the_models_of_its_name() -> None:
    catalogue = Catalogue({}, {"echo": plugin_provider("echo", load)})
    model = catalogue.model("echo:loud", 4096, RequestSettings())
    assert (model.name, model.window) == ("loud", 4096)
    end = [item async for item in model.stream(PROMPT)][-1]
    assert isinstance(end, Completion)
    assert (end.text, end.target) == ("Hello", "echo:loud")
    assert catalogue.model("echo:loud", 4096, RequestSettings()) is model
    await catalogue.aclose()


async def test_a_plug_in_without_functions_is_asked_in_json_mode() -> None:
    function = FunctionSchema("note", "Keep a note.", {"type": "object", "properties": {}})
    catalogue = Catalogue({}, {"echo": plugin_provider("echo", load)})
    model = catalogue.model("echo:loud", 4096, RequestSettings())
    items = [item async for item in model.stream(Prompt(PROMPT.messages, (function,), 100))]
    assert "JSON objects" in str(items[0])
    assert items[-1] == Completion("Hello", model="loud", target="echo:loud")


def test_address_and_key_come_from_the_environment_and_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_ECHO_API_KEY", "secret")
    (tmp_path / "config.toml").write_text(
        '[providers.my-echo]\nbase_url = "http://127.0.0.1:1/v1"\n', "utf-8"
    )
    catalogue = catalogue_of(tmp_path, load_installation(tmp_path), {"my-echo": load})
    (target,) = catalogue.targets("my-echo:loud")
    made = catalogue.adapter(target, 4096, ModelOptions(0.5))
    assert isinstance(made, Echo)
    assert (made.endpoint.base_url, made.endpoint.key, made.options.temperature) == (
        "http://127.0.0.1:1/v1", "secret", 0.5,
    )  # fmt: skip
    assert catalogue.missing("my-echo") is None
    assert catalogue.vendor("my-echo:loud") == Vendor("my-echo", "loud", "http://127.0.0.1:1/v1", True)


def test_a_plug_in_does_not_replace_a_known_provider(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, load_installation(tmp_path), {"openai": load})
    assert catalogue.providers["openai"].adapter == "openai"
