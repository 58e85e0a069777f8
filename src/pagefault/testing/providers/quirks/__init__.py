"""Quirks by name: what servers do otherwise than they should, each with what must come of it.

    ProviderServer([QUIRKS["silence"].turn(Completion("Hello."))])

They were met at OpenAI, Azure, Anthropic, Gemini, OpenRouter, Groq, vLLM, SGLang, llama.cpp, LM Studio and
Ollama, and at proxies before them. Left out: what a model says that is merely wrong.
"""

from collections.abc import Mapping

from pagefault.testing.providers.quirks.calls import CALLS
from pagefault.testing.providers.quirks.faults import FAULTS
from pagefault.testing.providers.quirks.quirk import ALL, Quirk
from pagefault.testing.providers.quirks.streams import STREAMS
from pagefault.testing.providers.quirks.texts import TEXTS

__all__ = ["ALL", "QUIRKS", "Quirk"]

QUIRKS: Mapping[str, Quirk] = {quirk.name: quirk for quirk in (*FAULTS, *STREAMS, *TEXTS, *CALLS)}
