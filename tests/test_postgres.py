"""PostgreSQL keeps every promise of the store protocol; and what is its own: processes that share a database,
turn locks and their fence, lost connections, refusals, migrations."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.testing.postgres import Databases
from pagefault.testing.stores import StoreConformance

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class TestPostgresStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def on_a_server(self, databases: Databases) -> Generator[None]:
        self.databases = databases
        self.places: dict[Path, str] = {}
        yield
        for url in self.places.values():
            databases.drop(url)

    def open(self, place: Path) -> Store:
        if place not in self.places:
            self.places[place] = self.databases.new()
        return PostgresStore.open(self.places[place], connections=4)
