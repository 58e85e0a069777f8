"""OpenAI's protocols, for clients that know no other: an agent is a model, and remembers the conversation
itself.

    models.py     ``/v1/models``
    chat.py       ``/v1/chat/completions``;  chunks.py: its objects
    responses.py  ``/v1/responses``;  response_events.py: its objects and its numbered events
    requests.py   the one message of a request that enters the agent;  identity.py: what headers say of it
    turns.py      a request's turn;  speech.py, answers.py: its outputs as both protocols report them
    ids.py        ids of responses;  shape.py: errors

Left out: what the agent has itself: instructions, tools, formats, sampling.
"""

from __future__ import annotations

from fastapi import APIRouter

from pagefault.server.openai import chat, models, responses
from pagefault.server.openai.shape import openai_shape

__all__ = ["PREFIXES", "openai_shape", "router"]

PREFIXES = ("/v1/models", "/v1/chat", "/v1/responses", "/v1/completions", "/v1/embeddings")
"""The paths of which errors have OpenAI's shape."""


def router() -> APIRouter:
    """The routes of OpenAI's protocols."""
    router = APIRouter(prefix="/v1", tags=["openai"])
    for each in (models, chat, responses):
        router.include_router(each.routes)
    return router
