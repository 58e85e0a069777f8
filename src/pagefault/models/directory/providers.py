"""The table of known providers: address, environment variable of the key, adapter and package.

Left out: the names of single models (any name is passed on), and the adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

from pagefault.models.endpoint import AdapterFactory
from pagefault.models.wrappers.limiter import NO_LIMITS, RateLimits

__all__ = ["PROVIDERS", "SERVER_KEY", "Adapter", "Provider", "ProviderTable", "plugin_provider"]

Adapter = Literal["offline", "openai", "ollama", "pydantic_ai", "plugin"]

SERVER_KEY = "PAGEFAULT_MODEL_KEY"
"""The environment variable of the key for a server that is named by its URL, if it wants one."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of models.

    ``base_url`` is empty for the client library's own; ``address`` and ``key`` are environment variables,
    ``other_key`` a second one in use for the key. A ``local`` provider needs no key. ``package`` must be
    installed beside pagefault, by the extra ``extra``. ``load`` loads the adapter of a plug-in.
    """

    about: str
    example: str
    adapter: Adapter = "openai"
    base_url: str = ""
    address: str = ""
    key: str = ""
    other_key: str = ""
    local: bool = False
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeout: float = 300.0
    limits: RateLimits = NO_LIMITS
    package: str = ""
    extra: str = ""
    load: Callable[[], AdapterFactory] | None = None

    def factory(self) -> AdapterFactory:
        """Import the adapter."""
        if self.load is not None:
            return self.load()
        if self.adapter == "ollama":
            from pagefault.models.ollama import OllamaModel

            return OllamaModel
        if self.adapter == "pydantic_ai":
            from pagefault.models.pydantic_ai import PydanticAIModel

            return PydanticAIModel
        from pagefault.models.openai import OpenAIModel

        return OpenAIModel

    def lacks_package(self) -> str | None:
        """Return a sentence with the line that installs the missing package; None if none is missing."""
        if not self.package or _is_installed(self.package):
            return None
        return f"It needs a package; run: pip install 'pagefault[{self.extra}]'"


def _is_installed(package: str) -> bool:
    """Return True if a package, and pydantic-ai beside it, can be imported."""
    try:
        return all(find_spec(name) is not None for name in ("pydantic_ai", package))
    except ModuleNotFoundError:  # the parent of a dotted name
        return False


def _hosted(about: str, base_url: str, key: str, example: str) -> Provider:
    return Provider(about, example, base_url=base_url, key=key)


def _local(about: str, port: int, address: str, key: str) -> Provider:
    url = f"http://127.0.0.1:{port}/v1"
    where = f"{about}, at {url} or {address}"
    return Provider(where, "NAME", base_url=url, address=address, key=key, local=True)


def plugin_provider(name: str, load: Callable[[], AdapterFactory]) -> Provider:
    """Return the provider of a plug-in; ``load`` imports its adapter when a model is made.

    Its address and key are read from ``NAME_BASE_URL`` and ``NAME_API_KEY``, both optional.
    """
    prefix = name.upper().replace("-", "_")
    return Provider(
        "a plug-in", "NAME", "plugin", local=True, load=load,
        address=f"{prefix}_BASE_URL", key=f"{prefix}_API_KEY",
    )  # fmt: skip


class ProviderTable(Mapping[str, Provider]):
    """Providers by name: ``own``, then the known ones, then those of plug-ins.

    Plug-ins are looked for only when a name is none of the others, or to list all.
    """

    def __init__(
        self, own: Mapping[str, Provider], plugins: Mapping[str, Callable[[], AdapterFactory]]
    ) -> None:
        self._first = {**PROVIDERS, **own}
        self._plugins = plugins

    def __getitem__(self, name: str) -> Provider:
        return self._first.get(name) or plugin_provider(name, self._plugins[name])

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from (name for name in self._plugins if name not in self._first)

    def __len__(self) -> int:
        return sum(1 for _ in self)


PROVIDERS: Mapping[str, Provider] = {
    "offline": Provider("rule-based demo, no language model", "", "offline", local=True),
    "openai": Provider(
        "OpenAI, or any server of its shape at OPENAI_BASE_URL", "gpt-4o-mini",
        address="OPENAI_BASE_URL", key="OPENAI_API_KEY",
    ),
    "anthropic": Provider(
        "Anthropic", "claude-haiku-4-5", "pydantic_ai", package="anthropic", extra="anthropic",
        address="ANTHROPIC_BASE_URL", key="ANTHROPIC_API_KEY",
    ),
    "google": Provider(
        "Gemini", "gemini-2.5-flash", "pydantic_ai", package="google.genai", extra="google",
        address="GEMINI_BASE_URL", key="GEMINI_API_KEY", other_key="GOOGLE_API_KEY",
    ),
    "ollama": Provider(
        "Ollama's own protocol, on this machine or at OLLAMA_HOST", "qwen3:8b", "ollama",
        address="OLLAMA_HOST", key="OLLAMA_API_KEY", local=True,
    ),
    "vllm": _local("vLLM", 8000, "VLLM_BASE_URL", "VLLM_API_KEY"),
    "llamacpp": _local("llama.cpp's llama-server", 8080, "LLAMACPP_BASE_URL", "LLAMA_API_KEY"),
    "lmstudio": _local("LM Studio", 1234, "LMSTUDIO_BASE_URL", "LMSTUDIO_API_KEY"),
    "openrouter": _hosted(
        "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "qwen/qwen3-30b-a3b"
    ),
    "deepseek": _hosted("DeepSeek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "deepseek-chat"),
    "groq": _hosted("Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "llama-3.3-70b-versatile"),
    "mistral": _hosted("Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral-small-latest"),
    "together": _hosted(
        "Together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", "Qwen/Qwen2.5-7B-Instruct-Turbo"
    ),
    "xai": _hosted("xAI", "https://api.x.ai/v1", "XAI_API_KEY", "grok-4"),
}  # fmt: skip
