"""Usage to values and back: as rows of the log have it, and as sums. No SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pagefault.message_meta import RequestUsage, Usage
from pagefault.quoting import whole as storable
from pagefault.storage.readable import reads
from pagefault.storage.times import micros, moment
from pagefault.storage.usage import QUARTER, RowUsage, UsageTotal
from pagefault.types import AgentId, Role

__all__ = ["quarters", "to_row_usage", "to_total", "to_usage", "total_values", "usage_text"]


def usage_text(usage: Sequence[RequestUsage]) -> str | None:
    """The usage of a row as stored: a JSON list of an object for each request, zeros left out; None without
    any."""
    return json.dumps([_usage_values(request) for request in usage]) if usage else None


def _usage_values(request: RequestUsage) -> dict[str, Any]:
    rest = {"counted": request.counted, "answered": _plain(request.answered)}
    marks = {"estimated": request.estimated, "cut": request.cut, "images": request.images}
    values = {"model": _plain(request.model), **asdict(request.usage), **rest, **marks}
    return {name: value for name, value in values.items() if value}


def _plain(name: str) -> str:
    """A model's name that every database can find in JSON: PostgreSQL reads no null from it."""
    return storable(name).replace("\0", "\ufffd")


def to_usage(stored: str | None) -> tuple[RequestUsage, ...]:
    return () if stored is None else tuple(_to_request(values) for values in json.loads(stored))


def _to_request(values: dict[str, Any]) -> RequestUsage:
    tokens = Usage(**{name: values[name] for name in _TOKENS if name in values})
    rest = {name: values[name] for name in _REST if name in values}
    return RequestUsage(values["model"], tokens, **rest)


_TOKENS = ("input", "output", "cached", "written", "thinking")
_REST = ("counted", "answered", "estimated", "cut", "images")


@reads("message", 0)
def to_row_usage(row: Any) -> RowUsage:
    seq, at, event, role, usage = row
    return RowUsage(seq, moment(at), event, Role(role), to_usage(usage))


def total_values(agent: AgentId, total: UsageTotal) -> dict[str, Any]:
    return {
        "agent": agent,
        "start": quarters(total.start),
        "model": _plain(total.model),
        "answered": _plain(total.answered),
        "tier": total.tier,
        "requests": total.requests,
        "estimated": total.estimated,
        **asdict(total.usage),
        "measured": total.measured,
        "off": total.off,
    }


_QUARTER = QUARTER // timedelta(microseconds=1)


def quarters(at: datetime) -> int:
    """The number of the quarter of an hour that a time is in, counted from 1970."""
    return micros(at) // _QUARTER


def to_total(row: Any) -> UsageTotal:
    start, model, answered, tier, requests, estimated, *tokens, measured, off = row
    at = moment(start * _QUARTER)
    return UsageTotal(at, model, answered, tier, requests, estimated, Usage(*tokens), measured, off)
