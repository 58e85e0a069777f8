"""The name of the newest migration, apart from the migrations: opening a database that is up to date
loads no Alembic."""

from __future__ import annotations

__all__ = ["HEAD"]

HEAD = "0012"
