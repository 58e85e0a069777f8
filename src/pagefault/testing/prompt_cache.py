"""A simulation of Anthropic's prompt cache as documented: the tokens of a request that are read from it.

A prompt is a sequence of blocks: tools, system, messages. A request writes one entry for each of its marks
(``cache_control``): the whole prefix that ends there, if it is long enough. It reads the longest entry at one
of its marks or at one of the blocks before it. Left out: the expiry of entries (after five minutes without
use), prices, marks that Anthropic sets itself, and overlapping requests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pagefault.models.tokens import Counter, HeuristicCounter

__all__ = ["MOST_MARKS", "CacheRead", "PromptBlock", "PromptCache", "blocks_of"]

MOST_MARKS = 4
"""The number of marks from which on a request is refused, less one."""

_AT_MESSAGES = ("tool_choice", "thinking")  # fields that invalidate entries of the messages

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PromptBlock:
    """One block of a prompt: ``content`` is its JSON with its place and without its mark, ``text`` the part
    that the model reads."""

    content: str
    text: str
    marked: bool


@dataclass(frozen=True, slots=True)
class CacheRead:
    """Tokens of one request: all, and the ``cached`` ones."""

    input: int
    cached: int


class PromptCache:
    """The cache of one account. ``minimum``: tokens of the shortest prefix that is cached (it depends on the
    model); ``lookback``: the number of blocks searched for each mark, its own included."""

    def __init__(self, minimum: int = 1024, lookback: int = 20, counter: Counter | None = None) -> None:
        self._minimum = minimum
        self._lookback = lookback
        self._counter = counter or HeuristicCounter()
        self._entries: set[bytes] = set()

    def ask(self, body: Body) -> CacheRead:
        """Send one request; ``ValueError`` if Anthropic would refuse its marks."""
        blocks = blocks_of(body)
        marks = [place for place, block in enumerate(blocks) if block.marked]
        if len(marks) > MOST_MARKS:
            raise ValueError(f"The request has {len(marks)} cache marks; {MOST_MARKS} are allowed.")
        prefixes: list[bytes] = []
        sizes: list[int] = []
        hashed, size = hashlib.sha256(str(body.get("model")).encode()), 0
        for block in blocks:
            hashed.update(block.content.encode())
            size += self._counter.count(block.text)
            prefixes.append(hashed.digest())
            sizes.append(size)
        seen = (place for mark in marks for place in range(mark, max(-1, mark - self._lookback), -1))
        cached = max((sizes[place] for place in seen if prefixes[place] in self._entries), default=0)
        self._entries |= {prefixes[mark] for mark in marks if sizes[mark] >= self._minimum}
        return CacheRead(size, cached)


def blocks_of(body: Body) -> list[PromptBlock]:
    """Return the blocks of a request in the order in which they are cached."""
    made = [_block("tools", tool) for tool in body.get("tools") or ()]
    made += [_block("system", part) for part in _parts(body.get("system") or ())]
    settings = json.dumps([body.get(name) for name in _AT_MESSAGES])
    for message in body["messages"]:
        made += [_block(f"{message['role']} {settings}", part) for part in _parts(message["content"])]
    return made


def _block(place: str, value: Body) -> PromptBlock:
    bare = {name: field for name, field in value.items() if name != "cache_control"}
    content = json.dumps([place, bare], ensure_ascii=False, separators=(",", ":"))
    return PromptBlock(content, "\n".join(_read(bare)), "cache_control" in value)


def _parts(content: Any) -> Iterator[Body]:
    """Yield the blocks of a content, which may be a text."""
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    else:
        yield from content


def _read(value: Body) -> Iterator[str]:
    """Yield the texts of a block that the model reads, without types, ids and signatures."""
    for name, field in value.items():
        if name in ("type", "id", "tool_use_id", "signature"):
            continue
        if name == "content":
            yield from (text for part in _parts(field) for text in _read(part))
        else:
            yield field if isinstance(field, str) else json.dumps(field, separators=(",", ":"))
