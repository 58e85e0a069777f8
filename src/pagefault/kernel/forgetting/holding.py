"""Legal hold: an agent of which nothing is forgotten or deleted until it is lifted, whoever asks."""

from __future__ import annotations

from pagefault.errors import UsageError
from pagefault.functions.archives import LONGEST_HOLD
from pagefault.kernel import Kernel

__all__ = ["hold", "lift_hold"]


async def hold(kernel: Kernel, name: str, why: str) -> None:
    """Let nothing of the agent be forgotten; ``why``: for whoever is refused. ``UsageError`` without one."""
    reason = " ".join(why.split())
    if not 0 < len(reason) <= LONGEST_HOLD:
        raise UsageError(
            f"A hold has a reason of up to {LONGEST_HOLD} characters, for whoever is refused; give one."
        )
    record = await kernel.record(name)
    await kernel.store.write(lambda tx: tx.hold(record.id, reason))


async def lift_hold(kernel: Kernel, name: str) -> bool:
    """Let the agent be forgotten again; False if it was not held."""
    record = await kernel.record(name)
    if record.hold:
        await kernel.store.write(lambda tx: tx.hold(record.id, ""))
    return bool(record.hold)
