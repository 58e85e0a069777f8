"""The words in which databases differ, and what statements are run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Dialect", "SqlConnection"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One database's words.

    ``by_code_point``: after a column to sort by, so that text sorts by code point. ``lock``: at the end of a
    SELECT, so that its rows stay locked; empty where one transaction writes at a time. ``find_name``: the
    SELECT of the id of the agent with ``:tenant`` and ``:name``. ``answered_by``: a condition on ``usage``
    that one of its requests was answered by ``:model``. ``among(column, name, kind)``: a condition that a
    column of integers (``int``) or texts (``str``) is in the list ``:name``, as ``SqlConnection.listed``
    prepares it. ``question``: whether ``text`` ends in a question mark. ``vector``: the column as it is read.
    """

    by_code_point: str
    lock: str
    find_name: str
    answered_by: str
    question: str
    vector: str
    among: Callable[[str, str, type[int | str]], str]


class SqlConnection(Protocol):
    """A connection inside a transaction. Every failure is a ``StorageError``, here or at the commit."""

    @property
    def dialect(self) -> Dialect: ...

    def one(self, statement: str, **values: Any) -> Any:
        """The first row as a tuple, or None."""
        ...

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """All rows as tuples."""
        ...

    def binary(self, statement: str, **values: Any) -> list[Any]:
        """All rows as tuples, in the database's quickest form for results that are bytes."""
        ...

    def batches(self, statement: str, size: int, **values: Any) -> Iterator[list[Any]]:
        """The rows as tuples, never more than ``size`` at a time in memory."""
        ...

    def send(self, statement: str, **values: Any) -> object:
        """Execute for its effect, which is not waited for."""
        ...

    def changed(self, statement: str, **values: Any) -> bool:
        """Execute, and return whether any row was changed."""
        ...

    def many(self, statement: str, batch: Sequence[Mapping[str, Any]]) -> object:
        """Execute once for each of ``batch``."""
        ...

    def insert(
        self, table: str, agent: int, rows: Sequence[Mapping[str, Any]], *, if_absent: bool = False
    ) -> None:
        """Insert an agent's rows, all with the same columns; with ``if_absent`` those that are there stay."""
        ...

    def listed(self, values: Sequence[Any]) -> Any:
        """Values as a condition of ``Dialect.among`` takes them."""
        ...
