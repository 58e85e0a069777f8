"""Keys, tenants, the log of acts: `key create`, `list`, `revoke`; `tenant list`, `show`, `set`; `audit`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, cast, get_args

from pagefault.cli.render import local, table
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.kernel import Kernel, tenancy
from pagefault.quoting import inline
from pagefault.tenancy import ApiKey, KeyRole
from pagefault.views.asking import bytes_of

_LARGEST = 2**53


def create(
    session: Session, name: str, agents: str | None, tag: str | None, every: bool, role: str, speaks: bool,
    rate: int | None, body: str | None,
) -> None:  # fmt: skip
    """Make a key and print its secret."""
    if role not in get_args(KeyRole):
        raise UsageError(f"{inline(role, 64)} is no role; write read, chat or admin.")
    if every and (agents is not None or tag is not None):
        raise UsageError("--all goes with neither --agents nor --tag; give one of the three.")
    most = None if body is None else bytes_of("body", body)
    names = None if agents is None else [each.strip() for each in agents.split(",") if each.strip()]

    async def work(kernel: Kernel) -> None:
        secret = await tenancy.create_key(
            kernel, name, role=cast("KeyRole", role), agents=names, tag=tag, speaks_for_users=speaks,
            rate=rate, body=most,
        )  # fmt: skip
        data = {"name": name, "tenant": kernel.tenant, "role": role, "key": secret}
        session.show(data, secret)
        there = {record.name for record in await tenancy.records_named(kernel, names or ())}
        if missing := [each for each in dict.fromkeys(names or ()) if each not in there]:
            named = " and no agent ".join(missing)
            them = "it once it is" if len(missing) == 1 else "them once they are"
            print(f"There is no agent {named} yet; the key reaches {them} made.", file=sys.stderr)
        if not session.json:  # on stderr, so that KEY=$(pagefault key create NAME) is the key
            print(f"This is the key {name}; it is shown this once, so keep it now.", file=sys.stderr)

    session.run(work)


def list_all(session: Session) -> None:
    """List the keys of the tenant."""

    async def work(kernel: Kernel) -> None:
        found = await tenancy.keys(kernel)
        head = ["name", "role", "for", "speaks for users", "a minute", "bytes", "created"]
        rows = [
            [
                key.name, key.role, _reached(key), "yes" if key.speaks_for_users else "", _rate(key.rate),
                "" if key.body is None else f"{key.body:,}", local(key.created),
            ]
            for key in found
        ]  # fmt: skip
        session.show(found, table([head, *rows]) if rows else "There are no keys.")

    session.run(work)


def _reached(key: ApiKey) -> str:
    if key.tag is not None:
        return f"the tag {inline(key.tag, 64)}"
    return "all agents" if key.agents is None else ", ".join(key.agents) or "(none)"


def _rate(rate: int | None) -> str:
    return "" if rate is None else _limit(rate or None)


def revoke(session: Session, name: str) -> None:
    """Revoke a key."""

    async def work(kernel: Kernel) -> None:
        await tenancy.revoke_key(kernel, name)
        session.show({"revoked": name}, f"Revoked the key {name}.")

    session.run(work)


def list_tenants(session: Session) -> None:
    """List the tenants of the installation."""

    async def work(kernel: Kernel) -> None:
        found = await tenancy.tenants(kernel)
        rows = [[each.tenant or "(default)", f"{each.agents:,}", f"{each.keys:,}"] for each in found]
        data = [each._asdict() for each in found]
        session.show(data, table([["tenant", "agents", "keys"], *rows]) if rows else "There are no tenants.")

    session.run(work)


def show_tenant(session: Session) -> None:
    """Show what the tenant has beside its quota."""

    async def work(kernel: Kernel) -> None:
        has, limits = await tenancy.counts(kernel), asdict(await tenancy.quota(kernel))
        rows = [
            [name.replace("_", " "), f"{has[name]:,}" if name in has else "", _limit(limit)]
            for name, limit in limits.items()
        ]
        session.show(
            {"tenant": kernel.tenant, "has": has, "quota": limits}, table([["", "has", "may"], *rows])
        )

    session.run(work)


def _limit(limit: float | None) -> str:
    return "no limit" if limit is None else f"{limit:,}"


def set_quota(session: Session, wanted: Mapping[str, str | None]) -> None:
    """Set the limits that are given; the others stay."""
    given = {name: _number(name, text) for name, text in wanted.items() if text is not None}
    if not given:
        raise UsageError("Give a limit, e.g. --agents 10.")

    async def work(kernel: Kernel) -> None:
        quota = replace(await tenancy.quota(kernel), **given)
        await tenancy.set_quota(kernel, quota)
        session.show({"tenant": kernel.tenant, "quota": asdict(quota)}, f"Set the quota of {kernel.tenant}.")

    session.run(work)


def _number(name: str, text: str) -> Any:
    """The limit as given: a whole number, for the cost any, for bytes a size; ``none``: no limit."""
    if text == "none":
        return None
    option = name.replace("_", "-")
    try:
        if name == "media_bytes":
            number = bytes_of(option, text)
        else:
            number = float(text) if name == "daily_cost" else int(text)
    except ValueError:
        number = -1
    if not 0 <= number < _LARGEST:
        raise UsageError(f"--{option} takes a number from 0 on, or none, not {inline(text, 64)}.")
    return number


def show_acts(session: Session, limit: int, before: int | None) -> None:
    """Show the log of acts on the tenant."""

    async def work(kernel: Kernel) -> None:
        found = await tenancy.acts(kernel, limit, before)
        rows = [[str(act.id), local(act.at), act.who, act.what] for act in found]
        session.show(
            found, table([["id", "when", "who", "what"], *rows]) if rows else "Nothing was done yet."
        )

    session.run(work)
