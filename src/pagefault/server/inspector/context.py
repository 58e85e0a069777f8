"""The main context as it is: blocks whose area is their tokens, now or as the model saw it at a step.

It is a page, and a part beside the chat. Left out: finding a past context (``views.context``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BeforeValidator

from pagefault.server.api.values import LARGEST, Name
from pagefault.server.inspector.drawing import Box, flow, marker
from pagefault.server.inspector.pages import AgentVisit, WebPage
from pagefault.server.problems import Problem
from pagefault.types import Role
from pagefault.views.asking import number_of
from pagefault.views.context import ContextBlock, ContextBlocks, context_blocks
from pagefault.views.history import history, newest

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}")
"""The routes of the main context."""

_STRIPS = 16
_LABEL = 96  # characters
_LABELLED = ("user", "event", "alert")  # rows that begin with a label of ours
_WIDE = 7.0  # percent of the map
_MOST = 160  # tiles; more could not be told from each other
_SPARSE = 0.25  # of the window: with less in it, the map shows a part of the window
_MARGIN = 1.2  # of the prompt, that such a part has
_LONGEST = 6000  # characters of a text that is shown beside the map
_AROUND = 8  # rows of the log around one


def _bare(at: object) -> object:
    """The number in the id of a message, ``m12``, as the REST takes it too."""
    return at.removeprefix("m") if isinstance(at, str) else at


At = Annotated[int | None, BeforeValidator(_bare), Query(ge=0, lt=LARGEST)]


@dataclass(frozen=True, slots=True)
class _Tile:
    """One block of the map, or ``count`` rows side by side. ``index``: of the (first) block."""

    block: ContextBlock
    boxes: tuple[Box, ...]
    index: int
    tokens: int
    count: int

    @property
    def label(self) -> str:
        """The words that stand on the tile: a name, or the beginning of the text without its label."""
        block = self.block
        if block.kind in ("section", "function", "call"):
            return block.name
        text = block.text[:_LABEL]
        return text.partition("] ")[2] or text if block.kind in _LABELLED else text

    @property
    def labelled(self) -> Box | None:
        """The box that is wide enough to be written on."""
        widest = max(self.boxes, key=lambda box: box.width)
        return widest if widest.width >= _WIDE else None


@dataclass(frozen=True, slots=True)
class _WindowMap:
    """The map: what it shows of the window, in tokens, its tiles, the place kept for the reply, and its lines
    by their name; ``sums``: the tokens of each kind."""

    whole: int
    tiles: Sequence[_Tile]
    reserve: Sequence[Box]
    lines: Sequence[tuple[str, int, Sequence[tuple[float, float, float, float]]]]
    sums: Sequence[tuple[str, int]]


@routes.get("/context")
async def context_page(name: Name, page: AgentVisit, at: At = None, view: bool = False) -> Response:
    """Show the main context: as it stands, or at the last step that began at a row or before."""
    seen = await _seen(page, name, at)
    template = "context_view.html" if view else "context_part.html" if page.is_part else "context.html"
    last = await newest(page.kernel, name)
    return page.show(template, name=name, seen=seen, map=_map(seen), last=last, strips=_STRIPS)


@routes.get("/context/blocks/{index}")
async def block_part(name: Name, index: int, page: AgentVisit, at: At = None) -> Response:
    """Show one block whole, as the prompt has it."""
    blocks = (await _seen(page, name, at)).blocks
    if not 0 <= index < len(blocks):
        raise Problem(404, "Not found", page.t("The context has changed; load the page again."))
    return page.show("context_block.html", name=name, block=blocks[index], longest=_LONGEST)


@routes.get("/log/{id}")
async def log_page(name: Name, id: str, page: AgentVisit) -> Response:
    """Show the log around one row."""
    number = number_of(id, "m")
    before = f"m{number + _AROUND + 1}"
    found = await history(page.kernel, name, before=before, limit=2 * _AROUND + 1, roles=tuple(Role))
    if not any(row.id == id for row in found.rows):
        raise Problem(404, "Not found", page.t("There is no message {id} in the log.", id=id))
    rows = found.rows
    earlier = await history(page.kernel, name, before=rows[0].id, limit=_AROUND + 1, roles=tuple(Role))
    later = await history(page.kernel, name, after=rows[-1].id, limit=_AROUND + 1, roles=tuple(Role))
    return page.show(
        "log.html", name=name, rows=rows, id=id, earlier=earlier.rows and earlier.rows[0].id,
        behind=later.rows and later.rows[-1].id,
    )  # fmt: skip


async def _seen(page: WebPage, name: str, at: int | None) -> ContextBlocks:
    """The context that is asked for; behind the last step it is the one that stands now."""
    return await context_blocks(page.kernel, name, at)


def _map(seen: ContextBlocks) -> _WindowMap:
    is_sparse = seen.prompt < _SPARSE * seen.window
    whole = min(seen.window, max(_STRIPS, ceil(seen.prompt * _MARGIN))) if is_sparse else seen.window
    groups = _grouped(seen.blocks)
    sizes = [sum(block.tokens for block in group) for _, group in groups]
    boxes = flow(sizes, whole, _STRIPS)
    tiles = [
        _Tile(max(group, key=lambda block: block.tokens), of, first, size, len(group))
        for (first, group), size, of in zip(groups, sizes, boxes, strict=True)
        if of
    ]
    _, reserve = flow([seen.usable, max(0, whole - seen.usable)], whole, _STRIPS)
    lines = [("warn", seen.warn), ("flush", seen.flush)]
    shown = [(key, at, marker(at, whole, _STRIPS)) for key, at in lines if 0 < at < whole]
    sums = dict[str, int]()
    for block in seen.blocks:
        sums[block.kind] = sums.get(block.kind, 0) + block.tokens
    return _WindowMap(whole, tiles, reserve, shown, list(sums.items()))


def _grouped(blocks: Sequence[ContextBlock]) -> list[tuple[int, Sequence[ContextBlock]]]:
    """The blocks with the index of each; rows that are too many are put together, so many at a time."""
    fixed = [index for index, block in enumerate(blocks) if not block.id]
    first = fixed[-1] + 1 if fixed else 0
    each = max(1, ceil((len(blocks) - first) / _MOST))
    ends = range(first, len(blocks), each)
    return [(index, blocks[index : index + 1]) for index in range(first)] + [
        (index, blocks[index : index + each]) for index in ends
    ]
