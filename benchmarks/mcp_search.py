"""A million memories behind the tools of the MCP server: tokens of a result, and milliseconds of a call.

The memories are words with natural frequencies, every hundredth one long, in SQLite and without vectors; what
is loaded stays in ``--folder`` and is not loaded again. Asked by the official client, in this process. Prints
for each tool the largest result in tokens (its text and its structured form together), and milliseconds.

    python benchmarks/mcp_search.py --folder DIR [--rows 1000000] [--budget 4000] [--asked 40] [--seconds 480]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from mcp.client import Client
from mcp_types import CallToolResult, TextContent

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import AgentSettings, Installation
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel, edits
from pagefault.mcp import DEFAULT_TOKENS, MemoryAccess
from pagefault.mcp.serving import memory_server
from pagefault.models.tokens import HeuristicCounter
from pagefault.types import Passage
from pagefault.views import memory

AGENT = "ana"
BATCH = 2_000
VOCABULARY = 30_000
WORDS, LONG = 12, 1_500  # words of a memory, and of every hundredth
COUNT = HeuristicCounter().count


def batch(first: int, kernel: Kernel) -> list[Passage]:
    """The memories from a number on; the same in every run."""
    chance = np.random.default_rng(first)
    texts = list[str]()
    for number in range(first, first + BATCH):
        size = LONG if number % 100 == 0 else WORDS
        words = (chance.zipf(1.2, size) - 1) % VOCABULARY
        texts.append(f"Note {number}: " + " ".join(f"w{word}" for word in words))
    now = kernel.clock.now()
    return [Passage(text, now, (f"tag{number % 7}", "notes")) for number, text in enumerate(texts)]


async def load(kernel: Kernel, rows: int, seconds: float) -> int:
    """Store what is missing of so many rows, as far as ``seconds`` go; return how many there are."""
    await kernel.ensure_agent(AGENT, AgentSettings())
    there = (await memory.search(kernel, AGENT, "", tier="archival", size=1)).total
    begun, at_start = time.monotonic(), there
    while there < rows and time.monotonic() - begun < seconds:
        await edits.add_passages(kernel, AGENT, batch(there, kernel))
        there += BATCH
        if there % (50 * BATCH) == 0:
            rate = (there - at_start) / (time.monotonic() - begun)
            print(f"  {there:,} rows, {rate:,.0f}/s", file=sys.stderr, flush=True)
    return there


def queries(asked: int) -> Iterator[str]:
    """Of one word to four, from those in every second row to those in one of ten thousand."""
    chance = np.random.default_rng(1)
    for number in range(asked):
        rank = 10 ** chance.uniform(0, 4, 1 + number % 4)
        yield " ".join(f"w{int(each) % VOCABULARY}" for each in rank)


def tokens_of(result: CallToolResult) -> int:
    texts = [content.text for content in result.content if isinstance(content, TextContent)]
    return COUNT("\n".join(texts)) + COUNT(json.dumps(result.structured_content, ensure_ascii=False))


async def measured(client: Client, name: str, calls: list[dict[str, Any]]) -> list[CallToolResult]:
    """Make these calls of a tool, and print what they took."""
    took, tokens, results = list[float](), list[int](), list[CallToolResult]()
    for arguments in calls:
        begun = time.perf_counter()
        result = await client.call_tool(name, arguments)
        took.append((time.perf_counter() - begun) * 1000)
        assert not result.is_error, result.content
        tokens.append(tokens_of(result))
        results.append(result)
    print(
        f"  {name:>16} {len(calls):4} calls, at most {max(tokens):5,} tokens, median {median(tokens):,.0f}; "
        f"median {median(took):6,.0f} ms, longest {max(took):6,.0f} ms",
        flush=True,
    )
    return results


async def ask(client: Client, asked: int) -> None:
    found = await measured(client, "search_memories", [{"query": query} for query in queries(asked)])
    pages = [
        {"query": query, "cursor": result.structured_content["cursor"]}
        for query, result in zip(queries(asked), found, strict=True)
        if "cursor" in result.structured_content
    ]
    await measured(client, "search_memories", pages[: asked // 2])
    (first,) = await measured(client, "list_memories", [{}])
    await measured(client, "list_memories", [{"cursor": f"o{first.structured_content['total'] - 5}"}])
    long = [hit["id"] for result in found for hit in result.structured_content["memories"] if "cut" in hit]
    await measured(client, "get_memory", [{"id": id} for id in long[:asked] or ["p1"]])
    added = [{"text": f"A new note: {query}"} for query in queries(10)]
    await measured(client, "add_memory", added)


async def run(options: argparse.Namespace) -> int:
    options.folder.mkdir(parents=True, exist_ok=True)
    async with open_kernel(options.folder, Parts(embedder=NullEmbedder()), Installation()) as kernel:
        rows = await load(kernel, options.rows, options.seconds)
        print(f"{rows:,} memories, a budget of {options.budget:,} tokens", flush=True)
        access = MemoryAccess(kernel, AGENT, tokens=options.budget)
        async with Client(memory_server(access), mode="2026-07-28") as client:
            tools = [
                tool.model_dump(by_alias=True, exclude_none=True)
                for tool in (await client.list_tools()).tools
            ]
            print(f"  {'tools/list':>16}  {COUNT(json.dumps(tools)):,} tokens")
            await client.call_tool("search_memories", {"query": "w1"})  # the index is read at the first one
            await ask(client, options.asked)
    return 0 if rows >= options.rows else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the database is kept")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--budget", type=int, default=DEFAULT_TOKENS, help="tokens of a result")
    parser.add_argument("--asked", type=int, default=40, help="queries")
    parser.add_argument("--seconds", type=float, default=480.0, help="how long to load at most")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
