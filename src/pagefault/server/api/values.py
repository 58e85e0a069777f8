"""Values of the REST that several resources share: lists with a cursor, problems, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pagefault.names import could_be_agent_name
from pagefault.quoting import in_texts, whole
from pagefault.server.auth import Caller, Calling
from pagefault.server.problems import Problem

__all__ = [
    "AgentCaller", "Cursor", "EventNumber", "IdempotencyKey", "ItemList", "Limit", "Name", "ProblemDetail",
    "RequestBody", "after_name", "page_number", "page_of",
]  # fmt: skip

T = TypeVar("T")

_NO_CURSOR = "That is no cursor of this list; take the `next` of its page before."

LARGEST = 2**53
"""The numbers above are not exact in JSON everywhere."""


class ProblemDetail(BaseModel):
    """A problem of RFC 9457. ``request_id``: as the server's log has it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str


class RequestBody(BaseModel):
    """Base of what requests send: unknown members are refused, and texts are such as UTF-8 can hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, values: Any) -> Any:
        return in_texts(whole, values)


class ItemList(BaseModel, Generic[T]):
    """A page of a list. ``next``: the cursor of the next page; null at the end."""

    items: list[T]
    next: str | None = None


Name = Annotated[str, Path(description="The agent's name.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="The most items of a page.")]
Cursor = Annotated[
    str | None, Query(description="The `next` of the page before; leave it out for the first.")
]
EventNumber = Annotated[int, Path(ge=0, lt=LARGEST, description="The event's number.")]


async def _agent_caller(name: Name, caller: Calling) -> Caller:
    await caller.check(name)
    return caller


AgentCaller = Annotated[Caller, Depends(_agent_caller)]
"""The caller of a route with ``{name}``, who may reach that agent."""


async def _idempotency_key(
    key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
    other: Annotated[str | None, Header(alias="X-Idempotency-Key", max_length=255)] = None,
) -> str | None:
    return key or other or None


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
"""The key of the event that a request posts: a request that is repeated with it gets the first answer."""


def after_name(cursor: str | None) -> str:
    """The name of an agent that a cursor is; empty for the first page."""
    if cursor and not could_be_agent_name(cursor):
        raise Problem(400, "Wrong request", _NO_CURSOR)
    return cursor or ""


def page_number(cursor: str | None) -> int:
    """The number that a cursor is, of lists without a key; 1 for the first page."""
    if cursor is None:
        return 1
    if not (cursor.isascii() and cursor.isdigit() and 0 < len(cursor) <= 12 and int(cursor)):
        raise Problem(400, "Wrong request", _NO_CURSOR)
    return int(cursor)


def page_of(items: Sequence[T], cursor: str | None, limit: int) -> ItemList[T]:
    """The page of items that begins with the one of this number, from 1; they have no order but their own."""
    first = page_number(cursor) - 1
    more = str(first + limit + 1) if first + limit < len(items) else None
    return ItemList(items=list(items[first : first + limit]), next=more)


class Done(BaseModel):
    """The outcome of an act that may find nothing to do."""

    done: bool = Field(description="False if there was nothing to do.")
