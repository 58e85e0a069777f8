"""Logs of the server: one JSON object a line on stderr, each with the id of the request it belongs to.

Texts of people and agents, keys and the queries of URLs are never logged.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import format_exception

from pagefault.redaction import redacted

__all__ = ["request_id", "set_up"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered."""


class _Lines(logging.Formatter):
    """A record as a line of JSON; ``fields`` of the record are further members."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname.lower(), "logger": record.name}
        line |= {"message": redacted(record.getMessage())}
        if id := request_id.get():
            line["request_id"] = id
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1]:
            line["exception"] = redacted("".join(format_exception(record.exc_info[1])))
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str = "INFO") -> None:
    """Log to stderr what pagefault and uvicorn report; of other libraries warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("pagefault").setLevel(level)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
