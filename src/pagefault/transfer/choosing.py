"""The agents that a copy or an export takes, and the names under which an import may store others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain

from pagefault.errors import NotFoundError, UsageError
from pagefault.names import check_look_alike, check_stored_name, check_tenant
from pagefault.shared import is_shared
from pagefault.storage.row_transfer import OWNED, TransferRows
from pagefault.tenancy import AgentKey
from pagefault.transfer.lines import Block
from pagefault.transfer.values import called, named
from pagefault.types import AgentId

__all__ = ["by_tenant", "chosen", "refuse_taken", "wanted_keys", "with_shared"]


def chosen(
    rows: TransferRows, names: Sequence[str], tenant: str | None, place: str
) -> dict[AgentKey, AgentId]:
    """The agents of these names or, without names, all of the ``tenant``; those that others are attached to
    first. ``NotFoundError`` if one is not there."""
    agents = {key: id for key, id in rows.agents().items() if tenant in (None, key.tenant)}
    wanted = [AgentKey(name, tenant or "") for name in names]
    for key in wanted:
        if key not in agents:
            raise NotFoundError(f"There is no {called(*key)} in {place}{_hint(key, agents)}.")
    if not agents:
        raise NotFoundError(f"There are no agents{f' of tenant {tenant!r}' if tenant else ''} in {place}.")
    return {key: agents[key] for key in wanted or sorted(agents, key=_is_shared, reverse=True)}


def _hint(key: AgentKey, agents: Collection[AgentKey]) -> str:
    """Return the end of the sentence on an agent that is not there: one that may have been meant."""
    alike = (AgentKey(f"{kind}:{key.name}", key.tenant) for kind in ("archive", "section"))
    shared = (f"; {called(each.name)} is named {each.name}" for each in alike if each in agents)
    others = (f"; one is of tenant {of!r}" for name, of in agents if name == key.name)
    return next(chain(shared, others), "")


def _is_shared(key: AgentKey) -> bool:
    return is_shared(key.name)


def with_shared(rows: TransferRows, taken: Mapping[AgentKey, AgentId]) -> dict[AgentKey, AgentId]:
    """The chosen agents after all that they share; nothing is attached to what is not there."""
    agents, shared = rows.agents(), set[AgentKey]()
    for key, agent in taken.items():
        for table in OWNED:
            if "target" in table.columns:
                place, of = table.column("target"), key.tenant
                shared |= {
                    AgentKey(str(row[place]), of) for batch in rows.rows(agent, table) for row in batch
                }
    along = {key: agents[key] for key in sorted(shared & agents.keys())}
    return along | dict(taken)


def wanted_keys(
    found: Sequence[Block], name: str | None, tenant: str | None, *, trust: bool
) -> list[AgentKey]:
    """The names under which an import stores the agents of a file; ``UsageError`` if there can be none."""
    check_tenant(tenant or "")
    return [
        AgentKey(named(block, name), tenant if tenant is not None else block.tenant if trust else "")
        for block in found
    ]


def refuse_taken(wanted: Sequence[AgentKey], here: Collection[AgentKey], place: str) -> None:
    """Raise ``UsageError`` for an agent that cannot be stored because of another."""
    seen = set[AgentKey]()
    for key in wanted:
        check_stored_name(key.name)
        check_look_alike(key.name, (other.name for other in here if other.tenant == key.tenant))
        if key in here:
            raise UsageError(f"The {called(*key)} is there already; give another name with --name.")
        if key in seen:
            raise UsageError(
                f"{place} has {called(key.name)} of more than one tenant; each keeps its own with --trust "
                "and without --tenant."
            )
        seen.add(key)


def by_tenant(keys: Iterable[tuple[str, str]]) -> Mapping[str, set[str]]:
    """The names of agents, given as ``AgentKey`` is, by tenant."""
    names = defaultdict[str, set[str]](set)
    for name, tenant in keys:
        names[tenant].add(name)
    return names
