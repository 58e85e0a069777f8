"""The grammar of `pagefault sleep`."""

from __future__ import annotations

from pagefault.cli.options import Database, Home, Json, Name, Tenant, session_of

__all__ = ["sleep"]


def sleep(
    name: Name, home: Home = None, database: Database = None, json: Json = False, tenant: Tenant = None
) -> None:
    """Have an agent tidy its memory now, within the bounds of one sleep."""
    from pagefault.cli.sleeping import sleep as tidy

    tidy(session_of(home, database, json, tenant), name)
