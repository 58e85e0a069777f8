"""`agent hold` and `agent lift-hold`."""

from __future__ import annotations

from pagefault.cli.session import Session
from pagefault.kernel import Kernel
from pagefault.kernel.forgetting import holding


def hold(session: Session, name: str, why: str) -> None:
    async def work(kernel: Kernel) -> None:
        await holding.hold(kernel, name, why)
        session.show({"held": name}, f"Agent {name} is held; nothing of it is forgotten or deleted.")

    session.run(work)


def lift(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        was_held = await holding.lift_hold(kernel, name)
        said = f"Agent {name} is not held{' any more' if was_held else ''}."
        session.show({"lifted": was_held}, said)

    session.run(work)
