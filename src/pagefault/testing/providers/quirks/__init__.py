"""Quirks by name: known deviations of servers from their protocols, each with its expected outcome.

    ProviderServer([QUIRKS["silence"].turn(Completion("Hello."))])

Observed at OpenAI, Azure, Anthropic, Gemini, OpenRouter, Groq, vLLM, SGLang, llama.cpp, LM Studio and
Ollama, and at proxies in front of them. Left out: answers that are well formed and merely wrong.
"""

from collections.abc import Mapping

from pagefault.testing.providers.quirks.calls import CALLS
from pagefault.testing.providers.quirks.faults import FAULTS
from pagefault.testing.providers.quirks.no_functions import NO_FUNCTIONS
from pagefault.testing.providers.quirks.quirk import ALL, Quirk
from pagefault.testing.providers.quirks.streams import STREAMS
from pagefault.testing.providers.quirks.texts import TEXTS

__all__ = ["ALL", "QUIRKS", "Quirk"]

QUIRKS: Mapping[str, Quirk] = {
    quirk.name: quirk for quirk in (*FAULTS, *STREAMS, *TEXTS, *CALLS, *NO_FUNCTIONS)
}
