"""The context windows of known models, in tokens: a table and its one reading.

As published by their makers, for the largest window served by default. A server may serve less (Ollama and
LM Studio do by default). A model that is not in the table is not guessed.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["SAFE_WINDOW", "window_of"]

SAFE_WINDOW: Final = 8192
"""The window to assume for an unknown model; the caller shows a notice."""

_WINDOWS: Final[dict[str, int]] = {
    # OpenAI
    "gpt-3.5-turbo": 16_385,
    "gpt-3.5-turbo-0301": 4096,  # at release: Table 1 of the MemGPT paper
    "gpt-3.5-turbo-0613": 4096,
    "gpt-3.5-turbo-instruct": 4096,
    "gpt-4": 8192,
    "gpt-4-32k": 32_768,
    "gpt-4-turbo": 128_000,
    "gpt-4-1106": 128_000,
    "gpt-4-0125": 128_000,
    "gpt-4-vision": 128_000,
    "gpt-4o": 128_000,
    "chatgpt-4o": 128_000,
    "gpt-4.1": 1_047_576,
    "gpt-4.5": 128_000,
    "gpt-5": 272_000,  # of prompt; the 400,000 published include 128,000 of reply
    "gpt-5-chat": 128_000,
    "gpt-5.1-chat": 128_000,
    "gpt-5.2-chat": 128_000,
    "gpt-oss": 131_072,
    "o1": 200_000,
    "o1-mini": 128_000,
    "o1-preview": 128_000,
    "o3": 200_000,
    "o4-mini": 200_000,
    # Anthropic
    "claude-instant": 100_000,
    "claude-2": 100_000,  # Table 1
    "claude-2.1": 200_000,
    "claude-3": 200_000,
    "claude-opus-4": 200_000,
    "claude-sonnet-4": 200_000,
    "claude-haiku-4": 200_000,
    # Google
    "gemini-1.0": 32_760,
    "gemini-pro": 32_760,
    "gemini-1.5-flash": 1_048_576,
    "gemini-1.5-pro": 2_097_152,
    "gemini-2": 1_048_576,
    "gemini-3": 1_048_576,
    "gemma": 8192,
    "gemma-2": 8192,
    "gemma-3": 131_072,
    "gemma-3-1b": 32_768,
    "gemma-3n": 32_768,
    # Meta
    "llama-7b": 2048,  # Table 1
    "llama-13b": 2048,
    "llama-30b": 2048,
    "llama-65b": 2048,
    "llama-2": 4096,  # Table 1
    "codellama": 16_384,
    "llama-3": 8192,
    "llama-3.1": 131_072,
    "llama-3.2": 131_072,
    "llama-3.3": 131_072,
    "llama-4-scout": 10_485_760,
    "llama-4-maverick": 1_048_576,
    # Mistral
    "mistral-7b": 8192,  # Table 1
    "mistral-7b-instruct-v0.2": 32_768,
    "mistral-7b-instruct-v0.3": 32_768,
    "mixtral-8x7b": 32_768,
    "mixtral-8x22b": 65_536,
    "mistral-nemo": 131_072,
    "mistral-small": 32_768,
    "mistral-small-3.1": 131_072,
    "mistral-small-3.2": 131_072,
    "mistral-medium": 131_072,
    "mistral-large": 131_072,
    "ministral": 131_072,
    "codestral": 32_768,
    "devstral": 131_072,
    "magistral": 40_960,
    # Alibaba
    "qwen-2": 32_768,
    "qwen-2.5": 32_768,
    "qwen-3": 32_768,
    "qwen-3-4b-instruct-2507": 262_144,
    "qwen-3-30b-a3b-instruct-2507": 262_144,
    "qwen-3-235b-a22b-instruct-2507": 262_144,
    "qwen-3-coder": 262_144,
    "qwen-3-next": 262_144,
    "qwq": 32_768,
    # others
    "deepseek-chat": 65_536,
    "deepseek-reasoner": 65_536,
    "deepseek-v2": 131_072,
    "deepseek-v3": 131_072,
    "deepseek-r1": 131_072,
    "deepseek-r1-distill": 32_768,
    "yi-34b": 4096,
    "yi-34b-200k": 200_000,  # Table 1
    "yi-1.5": 4096,
    "phi-2": 2048,
    "phi-3-mini-4k": 4096,
    "phi-3-mini-128k": 131_072,
    "phi-3.5": 131_072,
    "phi-4": 16_384,
    "phi-4-mini": 131_072,
    "command-r": 128_000,
    "command-a": 256_000,
    "grok-2": 131_072,
    "grok-3": 131_072,
    "grok-4": 256_000,
    "kimi-k2": 131_072,
    "glm-4": 131_072,
    "glm-4.5": 131_072,
    "smollm2": 8192,
    "granite-3": 131_072,
    "hermes-3": 131_072,
}


def window_of(model: str) -> int | None:
    """Return a model's window in tokens by its longest known prefix, None if it has none.

    Organisation, case and the hyphen before a version are ignored: ``meta-llama/Meta-Llama-3.1-8B``,
    ``llama3.1:8b`` and ``llama-3.1`` are the same. A prefix does not end inside a number.
    """
    name = _normal(model.rpartition("/")[2].lower().removeprefix("meta-"))
    known = [prefix for prefix in _PREFIXES if re.match(re.escape(prefix) + r"(?!\d)", name)]
    return _PREFIXES[max(known, key=len)] if known else None


def _normal(name: str) -> str:
    return re.sub(r"^([a-z]+)[-_](?=\d)", r"\1", name)


_PREFIXES: Final = {_normal(name): window for name, window in _WINDOWS.items()}
