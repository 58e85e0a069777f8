"""Items, and the protocol of a task, which reads them from data and scores the answers.

An item is a question with the texts that hold its answer: turns of a conversation, or passages of an archive.
Items of one pool have the same texts. What is done with them is a strategy's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from pagefault.bench import TASKS
from pagefault.bench.prompts import Brief
from pagefault.embedders import Embedder
from pagefault.errors import UsageError

__all__ = ["START", "Form", "Item", "Options", "StrategyReply", "Task", "Text", "task_named"]

START = datetime(2023, 1, 1, 9, tzinfo=UTC)
"""The time of texts whose data has none."""

Form = Literal["conversation", "passages", "pairs"]
"""The kind of an item's texts: turns of a conversation, passages of an archive, key-value pairs."""


@dataclass(frozen=True, slots=True)
class Text:
    """A turn (``speaker``, ``session`` from 1; ``own``: the agent says it) or a passage (``title``)."""

    id: str
    text: str
    title: str = ""
    speaker: str = ""
    session: int = 0
    own: bool = False
    at: datetime = START


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    ``question`` is empty for a login, which the agent is to open a conversation at. ``gold``: answers of
    which any counts; none: the texts have no answer. ``evidence``: ids of the texts that hold it, or of
    sessions (``ID``, where ids of turns are ``ID/1``). ``part``:
    what the item is reported with apart from the rest (a level, a category). ``lived``: the conversation is
    to be lived through by an agent, not loaded. ``facts``: what is known of the user (openers).
    """

    id: str
    pool: str
    form: Form
    texts: Sequence[Text]
    question: str
    brief: Brief
    gold: tuple[str, ...] = ()
    evidence: frozenset[str] = frozenset()
    part: str = ""
    asked: datetime = START
    lived: bool = False
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StrategyReply:
    """The answer of a strategy.

    ``seen``: ids of the texts that it brought into view, first seen first. ``named``: how texts were called
    there (``3``, ``p17``), to their ids. ``counted``: figures of the strategy's own, reported beside the
    scores. ``unfit``: why the strategy cannot answer this item at all (empty: it can).
    """

    text: str
    seen: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict[str, str])
    counted: Mapping[str, float] = field(default_factory=dict[str, float])
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """The choice of items: at most ``limit`` (of each part, where parts of a task are equal in number), of
    the ``parts`` named (empty: all). ``lenient``: records that are wrong are left out and counted in
    ``left_out`` instead of refused. ``seed`` is for what the data leaves open, ``window`` the run's window in
    tokens. ``documents``: a folder of more documents, in place of the one that the data is in."""

    limit: int | None = None
    parts: frozenset[str] = frozenset()
    seed: int = 0
    window: int = 4096
    lenient: bool = False
    left_out: list[str] = field(default_factory=list[str])
    documents: Path | None = None


class Task(Protocol):
    """``measures``: what ``score`` gives, the headline first. ``strategies``: by default. ``sweep``: how many
    texts ``retriever-reader`` reads."""

    @property
    def name(self) -> str: ...
    @property
    def measures(self) -> tuple[str, ...]: ...
    @property
    def strategies(self) -> tuple[str, ...]: ...
    @property
    def sweep(self) -> tuple[int, ...]: ...

    def items(self, data: Path, options: Options) -> list[Item]:
        """The items of a file or a folder; ``UsageError`` says which file and line is wrong, and why."""
        ...

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:
        """The measures of one answer; those that make no sense for this item are left out."""
        ...


def task_named(name: str) -> Task:
    """``UsageError`` if there is no such task."""
    if name in ("dmr", "opener"):
        from pagefault.bench.tasks.msc import DMR, Opener

        return DMR() if name == "dmr" else Opener()
    if name == "docqa":
        from pagefault.bench.tasks.docqa import DocQA

        return DocQA()
    if name == "nested-kv":
        from pagefault.bench.tasks.nested_kv import NestedKV

        return NestedKV()
    if name == "locomo":
        from pagefault.bench.tasks.locomo import LoCoMo

        return LoCoMo()
    if name == "longmemeval":
        from pagefault.bench.tasks.longmemeval import LongMemEval

        return LongMemEval()
    if name == "beam":
        from pagefault.bench.tasks.beam import BEAM

        return BEAM()
    if name == "retention":
        from pagefault.bench.tasks.retention import Retention

        return Retention()
    raise UsageError(f"There is no task {name!r}; choose from {', '.join(TASKS)}.")
