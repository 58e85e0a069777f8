"""The queue manager: the queue as it stands, its warning and its flush.

A flush moves the queue's start and replaces the summary in one transaction; it copies and deletes nothing
(DESIGN, invariants 1 and 3). When and how much is decided in ``policy``, how the summary is written in
``summary``, how a row is shown in ``admission``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TypeVar

import anyio

from pagefault.accounting.usage import LARGEST_RATIO
from pagefault.clock import Clock
from pagefault.context import Queue, Sizes, admission, render_sections
from pagefault.context.calibration import Calibration, Truncation
from pagefault.context.policy import Eviction, Policy, evict
from pagefault.context.queue_log import append_numbered, write_numbered
from pagefault.context.seen import seen_context
from pagefault.context.summary import Summary, closing_tokens, summarise
from pagefault.media import Media
from pagefault.message_meta import MessageMeta, SeenContext
from pagefault.models import Model, Prompt
from pagefault.models.tokens import Counter
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Message, QueueState, Role

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Budget:
    """The division of the window, in tokens. ``fixed`` (instructions and schemas) and ``page`` (what one
    message or page may take) are uncalibrated. ``least``: the smallest window that would do; ``digest``: of
    instructions and schemas."""

    window: int
    reserve: int
    margin: int
    fixed: int
    page: int
    least: int = 0
    digest: str = ""


@dataclass(slots=True)
class QueueManager:
    """The queue of one agent, loaded. Only the holder of the agent's turn lock may use it."""

    agent: AgentId
    store: Store
    model: Model
    policy: Policy
    counter: Counter
    clock: Clock
    budget: Budget
    hops: Callable[[], int]  # of the open event
    image_tokens: Callable[[Media], int]  # by the provider's rule; 0: the model is not sent images
    calibration: Calibration = field(default_factory=Calibration)
    truncation: Truncation = field(default_factory=Truncation)
    queue: Queue = field(default_factory=Queue)
    last_seq: int = -1
    warning_waits: bool = False
    hold: TurnHold | None = None  # the turn lock under which it writes
    shown: Callable[[Queue], Awaitable[Prompt]] | None = None  # the agent's prompt of a queue, as it is sent
    _head: tuple[str, int] = ("", 0)

    def load(self, record: AgentRecord, queue: Queue, *, warning_waits: bool) -> None:
        """Take over the queue as ``read_queue`` read it with its record."""
        self.queue, self.warning_waits, self.last_seq = queue, warning_waits, record.last_seq

    # measuring

    def sizes(self, queue: Queue | None = None) -> Sizes:
        """The main context with this queue (by default the live one), in calibrated tokens."""
        queue, b = queue or self.queue, self.budget
        fixed, head, rows = (round(n * queue.state.ratio) for n in self._counts(queue))
        return Sizes(b.window, b.reserve, b.margin, fixed, head, rows)

    def pressure(self, queue: Queue | None = None) -> Sizes:
        """The same without what was prefetched: it is the first to go, so it is no reason to warn."""
        return self.sizes((queue or self.queue).without_prefetched())

    @property
    def counted(self) -> int:
        """The prompt as it stands, in uncalibrated tokens."""
        return sum(self._counts(self.queue))

    def _counts(self, queue: Queue) -> tuple[int, int, int]:
        """Uncalibrated: what never changes, the working context, the queue."""
        if self._head[0] != queue.state.head:
            self._head = (queue.state.head, self.counter.count(queue.state.head))
        return self.budget.fixed, self._head[1], queue.tokens

    def view(self) -> SeenContext:
        """The main context as the model sees it now, for the log."""
        return seen_context(self.queue, self.sizes(), self.last_seq, self.budget.digest)

    def falls_short(self, reported: int) -> bool:
        """Return whether the ``reported`` input tokens of a request fall short (``Truncation``)."""
        suspects = self.truncation.suspects(self.counted, reported, self.queue.state.ratio)
        return not self.shows_images and suspects

    @property
    def shows_images(self) -> bool:
        """True while the queue shows images, whose tokens are counted by another rule than texts."""
        return any(row.meta.images for row in self.queue.in_order)

    def narrow(self, window: int) -> None:
        """The window is smaller than was thought."""
        self.budget = replace(self.budget, window=window, reserve=min(self.budget.reserve, window // 8))

    # admission

    def number(self, drafts: Sequence[Message], event: int | None, after: int = 0) -> list[Message]:
        """Rows ready for the log, behind the last one and ``after`` more."""
        return admission.admit(
            drafts, last_seq=self.last_seq + after, event=event, size=self.budget.page, counter=self.counter,
            image_tokens=self._image_tokens,
        )  # fmt: skip

    def _image_tokens(self, image: Media) -> int:
        """Uncalibrated: the ratio makes the provider's number of it."""
        return ceil(self.image_tokens(image) / self.queue.state.ratio)

    def append(self, tx: Transaction, rows: Sequence[Message], *, ratio: float, quiet: bool) -> Queue:
        """Within a transaction: append rows, and warn if they bring the queue across the line (not when
        ``quiet``: a warning's own turn). Returns the queue that holds once this is committed."""
        queue = self.queue.admit(rows)
        queue = replace(queue, state=replace(queue.state, ratio=ratio))
        if not quiet and not queue.state.warned and self.policy.warns(self.pressure(queue)):
            queue = replace(queue, state=replace(queue.state, warned=True))
            self._post_warning(tx)
        append_numbered(tx, self.agent, rows, queue.state if queue.state != self.queue.state else None)
        return queue

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Write under the turn lock. ``work`` runs again, with ``last_seq`` as it then is, if others have
        appended to the log since."""

        def moved(last_seq: int) -> None:
            self.last_seq = last_seq

        return await write_numbered(self.store, self.hold, self.agent, work, moved)

    def committed(self, queue: Queue, rows: Sequence[Message]) -> None:
        """The transaction of ``append`` is committed."""
        self.warning_waits |= queue.state.warned and not self.queue.state.warned
        self.queue = queue
        self.last_seq = rows[-1].seq if rows else self.last_seq

    def crosses_both(self, row: Message) -> bool:
        """Return whether admitting this one row would cross the warning and the flush line at once."""
        if self.queue.state.warned or not self.queue.rows:
            return False
        after = self.pressure(self.queue.admit(self.number([row], None)))
        return self.policy.warns(after) and self.policy.flushes(after)

    def has_room(self, row: Message, more: int) -> bool:
        """Return whether admitting this row and ``more`` uncalibrated tokens would force no flush."""
        after = self.queue.admit(self.number([row], None))
        return not self.policy.flushes(self.sizes(replace(after, tokens=after.tokens + more)))

    async def warn(self) -> None:
        """Post the warning before anything else is admitted."""
        await self._set_state(replace(self.queue.state, warned=True), self._post_warning)
        self.warning_waits = True

    def _post_warning(self, tx: Transaction) -> None:
        tx.post(self.agent, Event(EventKind.PRESSURE, at=self.clock.now(), hops=self.hops()))

    # flushing

    async def make_room(self, opened: int | None, *, warning: bool, fold: bool) -> Message | None:
        """Before each request: fold edits if they fold at once, flush if the policy says so. What was
        prefetched goes first: if that is enough, nothing else does.

        While a warning waits or is being served (``warning``), a flush waits as long as the prompt still
        fits with half of the reply's reserve, so that the model is heard before it loses the messages.
        Returns the summary row if there was a flush. ``opened`` is the log number of the open event.
        """
        if fold:
            await self.fold()
        row: Message | None = None
        for keep in (None, 0):
            sizes = self.pressure()
            if not self.policy.flushes(sizes) or ((self.warning_waits or warning) and sizes.fits):
                break
            row = await self.flush(opened, keep) or row
        if self.policy.flushes(self.sizes()):
            await self.drop_prefetched()
        return row

    async def drop_prefetched(self) -> None:
        """Take out of view what was prefetched. A row of the log that is not shown says so."""
        if not self.queue.prefetched:
            return
        draft = Message(Role.PREFETCH, "", self.clock.now())

        def work(tx: Transaction) -> int:
            (row,) = self.number([draft], None)
            append_numbered(tx, self.agent, [row], self.queue.state)
            return row.seq

        with anyio.CancelScope(shield=True):
            self.last_seq = await self.write(work)
        self.queue = self.queue.without_prefetched()

    async def flush(self, opened: int | None, keep: int | None = None) -> Message | None:
        """Evict the oldest rows under a new summary, and all that was prefetched, and fold the working
        context into the head.

        ``keep``: calibrated tokens of rows to keep, None: as the policy says. Returns the summary row,
        None if there was nothing to evict.
        """
        queue, state = self.queue.without_prefetched(), self.queue.state
        head = await self.store.read(lambda tx: render_sections(tx.sections(self.agent)))
        room = max(0, self.sizes(replace(queue, state=replace(state, head=head))).room)
        limit = max(48, int(self.policy.summary_limit(room) / state.ratio))
        if keep is None:
            most = min(self.policy.keeps(room), self.sizes(queue).queue // 2)
            keep = max(0, most - int(limit * state.ratio))
        eviction = evict(queue, int(keep / state.ratio), opened)
        if eviction and eviction.pinned:  # it stays in view besides the rows that are kept
            eviction = evict(queue, int(keep / state.ratio) - eviction.pinned.tokens, opened)
        if eviction is None:
            return await self.drop_prefetched()
        old = queue.summary
        summary = await summarise(
            self.model, old.text if old else "", eviction.evicted,
            window=int(self.budget.window / state.ratio), limit=limit, counter=self.counter,
            continued=await self._continued(eviction, limit),
        )  # fmt: skip
        return await self._commit_flush(eviction, summary, head)

    async def _continued(self, eviction: Eviction, limit: int) -> Prompt | None:
        """The agent's prompt up to the last evicted row, what was prefetched included: a provider's cache
        holds it. None if a summary of ``limit`` tokens would not fit behind it."""
        rows = tuple(row for row in self.queue.rows if row.seq < eviction.start)
        cut = replace(self.queue, rows=rows, tokens=-1)
        taken = self.sizes(cut).prompt + round(closing_tokens(limit, self.counter) * cut.state.ratio)
        left, least = self.budget.window - self.budget.margin - taken, ceil(limit * cut.state.ratio)
        if self.shown is None or left < least:
            return None
        return replace(await self.shown(cut), max_tokens=max(least, min(self.budget.reserve, left)))

    async def _commit_flush(self, eviction: Eviction, summary: Summary, head: str) -> Message:
        old, pinned = self.queue.without_prefetched(), eviction.pinned
        before = old.summary.meta.messages if old.summary else 0
        meta = MessageMeta(
            messages=before + len(eviction.evicted),
            through=eviction.start - 1,
            warned=old.state.warned and not self.warning_waits,
            extracted=summary.extracted,
        )
        draft = summary.row(meta, self.clock.now())

        def work(tx: Transaction) -> tuple[QueueState, Message]:
            (row,) = self.number([draft], None)
            held = pinned.seq if pinned else None
            state = QueueState(eviction.start, row.seq, held, head, False, old.state.ratio)
            append_numbered(tx, self.agent, [row], state)
            for event in tx.events(self.agent, state="pending"):
                if event.kind == EventKind.PRESSURE:  # what it would warn of has happened
                    tx.set_event(self.agent, event.id, "done")
            return state, row

        state, row = old.state, draft
        with anyio.CancelScope(shield=True):
            state, row = await self.write(work)
        self.queue = Queue(state, row, pinned, old.rows[len(eviction.evicted) :])
        self.last_seq, self.warning_waits = row.seq, False
        return row

    async def fold(self) -> None:
        """Fold the working context's edits into the head, without a flush."""
        head = await self.store.read(lambda tx: render_sections(tx.sections(self.agent)))
        if head != self.queue.state.head:
            await self._set_state(replace(self.queue.state, head=head))

    async def distrust(self, opened: int | None) -> Message | None:
        """The provider counts more than we do: believe it, and flush to what then fits."""
        sizes = self.sizes()
        ratio = self.queue.state.ratio * max(1.1, sizes.window / max(1, sizes.prompt))
        await self._set_state(replace(self.queue.state, ratio=min(LARGEST_RATIO, round(ratio, 3))))
        return await self.flush(opened)

    async def _set_state(self, state: QueueState, extra: Callable[[Transaction], None] | None = None) -> None:
        def work(tx: Transaction) -> None:
            tx.save_queue(self.agent, state)
            if extra:
                extra(tx)

        with anyio.CancelScope(shield=True):
            await self.store.write(work, self.hold)
        self.queue = replace(self.queue, state=state)
