"""A server on loopback in the place of any provider of models: real HTTP for tests of clients.

    with ProviderServer([Completion("Hello."), refuse(429, "Slow down.")]) as server:
        model = Catalogue(server.environment).model("anthropic:claude-test", 8192, RequestSettings())

It speaks, by path: OpenAI's Chat Completions, Anthropic's Messages, Ollama's ``/api/chat``, Gemini's
``streamGenerateContent``, and OpenAI's ``/embeddings`` with the turns of ``embeddings_server``. The same
script serves them all. ``python -m pagefault.testing.providers`` runs it as a process of its own.
"""

from pagefault.testing.providers.openai import delta
from pagefault.testing.providers.server import KEY, ProviderServer
from pagefault.testing.providers.turns import (
    Body,
    Delivery,
    ProviderRequest,
    RawReply,
    Refused,
    Shape,
    Turn,
    refuse,
)

__all__ = [
    "KEY",
    "Body",
    "Delivery",
    "ProviderRequest",
    "ProviderServer",
    "RawReply",
    "Refused",
    "Shape",
    "Turn",
    "delta",
    "refuse",
]
