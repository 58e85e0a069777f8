"""What a provider's prompt cache can serve of the requests as they come over HTTP, per provider shape.

The conversation of ``prefix_share.py`` (200 turns, a working-context edit in every tenth, flushes) runs
through the real adapters against a server that keeps the bodies. They are laid out as the provider caches
them: tools, system text, messages. Share = common prefix / previous request, without the cache marks, which
move. The Anthropic bodies are then fed to a simulated cache (``pagefault.testing.prompt_cache``), which says
how many of the input tokens are read from it: prefixes from so many tokens on are cached, which depends on
the model; in the last column the requests to the summariser count too.

    python benchmarks/wire_prefix.py [--turns 200] [--windows 4096 16384 65536]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any, get_args

from pagefault.models import Completion
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import RequestSettings
from pagefault.testing.prompt_cache import PromptCache, blocks_of
from pagefault.testing.providers import ProviderRequest, ProviderServer
from pagefault.testing.providers.replies import last_said, offered
from pagefault.types import Style
from prefix_share import AIM, EDIT_EVERY, HEADER, SUMMARY_REQUEST, Conversation, Shares, converse

WINDOWS = (4_096, 16_384, 65_536)
MODELS = {"openai": "openai:gpt-test", "anthropic": "anthropic:claude-sonnet-4-6"}
MINIMA = (0, 1_024, 4_096)  # tokens of the shortest prefix that is cached, by model
AIMED = 1_024  # the one for which the aim holds

Body = dict[str, Any]


async def bodies_of(shape: str, window: int, style: Style, turns: int) -> list[Body]:
    """The bodies that the server received while the conversation ran."""
    conversation, ids = Conversation(), count(1)

    def answer(request: ProviderRequest) -> Completion:
        completion = conversation.completion(offered(request), last_said(request))
        calls = tuple(replace(call, id=f"call_{next(ids)}") for call in completion.calls)
        return replace(completion, calls=calls)

    with ProviderServer(answer) as server:
        catalogue = Catalogue(server.environment)
        model = catalogue.model(MODELS[shape], window, RequestSettings())
        await converse(model, conversation, style, turns)
        await catalogue.aclose()
        return server.requests


def laid_out(shape: str, body: Body) -> bytes:
    """The body in the order in which it is cached."""
    if shape == "anthropic":
        return b"".join(block.content.encode() + b"\n" for block in blocks_of(body))
    parts = [*body["tools"], *body["messages"]]
    return b"".join(json.dumps(part, ensure_ascii=False).encode() + b"\n" for part in parts)


def shares_of(shape: str, bodies: Sequence[Body]) -> Shares:
    """The shares of the agent's requests, and of those to the summariser."""
    shares = Shares()
    for body in bodies:
        if is_of_summary(body):
            shares.summarised(laid_out(shape, body))
        else:
            shares.add(laid_out(shape, body))
    return shares


def is_of_summary(body: Body) -> bool:
    """Whether a request is one to the summariser: the instruction is its last text."""
    return SUMMARY_REQUEST in json.dumps(body["messages"][-1])


def read_from_cache(bodies: Sequence[Body], minimum: int, *, summaries: bool = False) -> float:
    """Share of the input tokens that the simulated cache serves; of the agent's requests, or of all."""
    cache = PromptCache(minimum)
    reads = [(cache.ask(body), not is_of_summary(body)) for body in bodies]
    counted = [read for read, own in reads if own or summaries]
    return sum(read.cached for read in counted) / sum(read.input for read in counted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--windows", type=int, nargs="+", default=WINDOWS)
    options = parser.parse_args()
    held, read = True, 1.0
    kinds = "".join(f"{f'from {least:,}':>12}" for least in MINIMA) + f"{'summaries':>12}"
    print(f"{f'{options.turns} turns, {options.turns // EDIT_EVERY} edits':<31}{HEADER}  read:{kinds}")
    for shape in MODELS:
        for style in get_args(Style):
            for window in options.windows:
                bodies = asyncio.run(bodies_of(shape, window, style, options.turns))
                shares = shares_of(shape, bodies)
                held &= shares.held
                line = shares.row(f"{shape}, {style}, {window:,}")
                if shape == "anthropic":
                    cached = {least: read_from_cache(bodies, least) for least in MINIMA}
                    read = min(read, cached[AIMED])
                    figures = [*cached.values(), read_from_cache(bodies, AIMED, summaries=True)]
                    line += " " * 7 + "".join(f"{share:>12.3f}" for share in figures)
                print(line, flush=True)
    print(f"between flushes (the least) 1 and mean at least {AIM:.2f}: {'held' if held else 'NOT held'}")
    print(f"read from the simulated cache, prefixes from {AIMED:,} tokens on: {read:.3f} (aim: {AIM:.2f})")
    return 0 if held and read >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
