"""Row-level security: what a transaction of a tenant costs more where PostgreSQL refuses other rows.

The same transactions of ``kernel.within(tenant)`` on two databases of one server, one of them protected by
``pagefault db protect``, in turn: a read of one agent, a page of 50 rows of the log, one of 1,000, and a
message that is appended and committed. Wall time of one after the other; the server does not wait for its
disk. ``--agents`` of ten tenants are in each database.

    python benchmarks/row_security.py [--times 400] [--agents 1000]

Left out: what searches cost, which read an index in memory, and the network.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from pagefault.storage import Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.protection import Protection
from pagefault.storage.within import TenantStore
from pagefault.testing.postgres import server
from pagefault.types import AgentId, AgentRecord, Message, Role

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 1_000
TENANTS = 10
Work = Callable[[Transaction, AgentId], object]
READS: dict[str, Work] = {
    "one agent": lambda tx, id: tx.agent_by_id(id),
    "50 rows of the log": lambda tx, id: list(tx.messages(id, first=1, last=50)),
    "1,000 rows of the log": lambda tx, id: list(tx.messages(id, first=1, last=ROWS)),
}
MOST = 0.5  # ms that a small transaction may take more


def append(tx: Transaction, id: AgentId) -> object:
    return tx.append(id, [Message(Role.USER, "a message of a few words", NOW)])


async def filled(url: str, agents: int) -> tuple[PostgresStore, TenantStore, AgentId]:
    """A store with so many agents of ten tenants, and one with a log."""
    store = PostgresStore.open(url, connections=2)

    def make(tx: Transaction) -> AgentId:
        for n in range(agents):
            tx.create_agent(AgentRecord(f"a{n}", {}, NOW, tenant=f"t{n % TENANTS}"))
        made = tx.create_agent(AgentRecord("ana", {}, NOW, tenant="t0"))
        tx.append(made.id, [Message(Role.USER, f"message {n} of a few words", NOW) for n in range(ROWS)])
        return made.id

    id = await store.write(make)
    return store, TenantStore(store, "t0"), id


async def timed(store: TenantStore, id: AgentId, work: Work, *, writes: bool) -> float:
    begin = time.perf_counter()
    await (store.write if writes else store.read)(lambda tx: work(tx, id))
    return (time.perf_counter() - begin) * 1000


def tenth(spent: list[float]) -> float:
    """The time that a tenth is quicker than: a busy machine adds to the others."""
    return statistics.quantiles(spent, n=10)[0]


async def measure(plain: str, protected: str, times: int, agents: int) -> dict[str, tuple[float, float]]:
    opened = [await filled(url, agents) for url in (plain, protected)]
    figures: dict[str, tuple[float, float]] = {}
    for name, work in {**READS, "a message appended": append}.items():
        spent: tuple[list[float], list[float]] = [], []
        for n in range(times + 20):
            for (_, store, id), each in zip(opened, spent, strict=True):
                took = await timed(store, id, work, writes=work is append)
                if n >= 20:
                    each.append(took)
        figures[name] = tenth(spent[0]), tenth(spent[1])
    for store, _, _ in opened:
        await store.close()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--times", type=int, default=400)
    parser.add_argument("--agents", type=int, default=1_000)
    arguments = parser.parse_args()
    with server() as databases:
        plain, protected = databases.new(), databases.new()
        with closing(Protection.open(protected)) as protection:
            protection.switch_on()
        figures = asyncio.run(measure(plain, protected, arguments.times, arguments.agents))
        with closing(Protection.open(protected)) as protection:
            protection.switch_off()
    print(f"{'transaction (10 % quantile, ms)':<34}{'plain':>8}{'protected':>11}{'more':>8}")
    for name, (without, behind) in figures.items():
        print(f"{name:<34}{without:>8.2f}{behind:>11.2f}{behind - without:>8.2f}")
    more = max(behind - without for name, (without, behind) in figures.items() if "1,000" not in name)
    print(f"aim: {MOST} ms more at most for a small one; {more:.2f}")
    return 1 if more > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
