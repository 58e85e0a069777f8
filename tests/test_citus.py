"""A database that is distributed by Citus keeps every promise of the store protocol; and how it gets there.

Run where ``PAGEFAULT_TEST_CITUS_URL`` is a database on the coordinator of a cluster, with its nodes added.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

import test_postgres
from pagefault.testing.citus import CitusDatabases, given_coordinator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not given_coordinator(), reason="PAGEFAULT_TEST_CITUS_URL is not set"),
]


@pytest.fixture(scope="module")
def databases() -> Generator[CitusDatabases]:
    """The databases of the cluster, in place of those of a single server."""
    databases = CitusDatabases(given_coordinator() or "")
    yield databases
    databases.close()


class TestCitusStore(test_postgres.TestPostgresStore):
    pass
