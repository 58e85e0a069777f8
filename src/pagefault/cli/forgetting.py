"""`forget`: what goes is listed, asked about, and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pagefault.cli.render import counted, local
from pagefault.cli.session import Session
from pagefault.cli.typed_lines import forget_typed
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.forgetting import ForgetReceipt
from pagefault.kernel.forgetting.asking import ask_to_forget, tombstones

_LISTED = 20  # places that are listed before a person is asked


def forget(
    session: Session,
    name: str,
    query: str,
    ids: Sequence[str],
    speaker: str,
    since: str | None,
    until: str | None,
    by: str,
    sure: Callable[[str], bool],
    *,
    dry_run: bool,
) -> None:
    async def ask(kernel: Kernel, *, dry_run: bool) -> ForgetReceipt:
        return await ask_to_forget(
            kernel, name, query, ids=ids, speaker=speaker, since=since, until=until, dry_run=dry_run, by=by
        )

    async def work(kernel: Kernel) -> None:
        planned, typed = await ask(kernel, dry_run=True), forget_typed(session.folder, query, dry_run=True)
        if dry_run or not (planned.total or typed):
            return session.show(planned, _plan_text(planned, len(planned.places), typed))
        question = f"{_plan_text(planned, _LISTED, typed)}\nForget all this, for good?"
        if not sure(question):
            raise UsageError("Nothing is forgotten; say --yes if you mean it, or --dry-run to list it all.")
        receipt = await ask(kernel, dry_run=False)
        session.show(receipt, _receipt_text(receipt, forget_typed(session.folder, query)))

    session.run(work)


def list_receipts(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        stones = await tombstones(kernel, name)
        lines = [
            f"{local(each.at)} {each.by or '(nobody named)'}: {_counts_text(each.counts)}" for each in stones
        ]
        session.show(stones, "\n".join(lines) or f"Nothing of {name} was forgotten.")

    session.run(work)


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind}: {count:,}" for kind, count in counts.items()) or "nothing"


def _plan_text(planned: ForgetReceipt, most: int, typed: int) -> str:
    if not (planned.total or typed):
        return "\n".join(["There is nothing of it to forget.", *planned.kept])
    lines = [f"{place.kind} {place.id} of {place.owner} ({place.why})" for place in planned.places[:most]]
    more = len(planned.places) - len(lines)
    head = f"{counted(planned.total + typed, 'place')} would be forgotten:"
    lines += [f"and {more:,} more"] if more else []
    lines += [f"{counted(typed, 'message')} typed in chats, in the terminal's history"] if typed else []
    return "\n".join([head, *lines, *planned.kept])


def _receipt_text(receipt: ForgetReceipt, typed: int) -> str:
    counts = {**receipt.counts, **({"typed in chats": typed} if typed else {})}
    head = f"Forgotten at {local(receipt.at)} ({_counts_text(counts)})."
    return "\n".join([head, *receipt.kept, *receipt.out_of_reach])
