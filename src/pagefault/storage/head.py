"""The name of the newest migration, apart from the migrations: opening a database that is up to date
loads no Alembic."""

from __future__ import annotations

__all__ = ["HEAD", "precedes_leases"]

HEAD = "0021"

_LEASES = "0012"


def precedes_leases(version: str | None) -> bool:
    """Return whether a database of this version may be in use by processes that know no leases: from 0012 on
    processes of different versions run together, an earlier one must not run beside them."""
    return version is not None and version < _LEASES
