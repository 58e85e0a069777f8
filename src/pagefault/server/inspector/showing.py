"""Values as a person reads them: numbers, money, times, and foreign text that can do nothing to a page.

Every text that a template shows is escaped, and goes through ``harmless``: what turns lines around or shows
nothing is written out. Left out: Markdown (``markdown``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from pagefault.quoting import visible
from pagefault.server.inspector.texts import Translator

__all__ = ["FILTERS", "address", "ago", "harmless"]


def harmless(value: Any) -> Any:
    """The value of an expression as a page shows it: text without what is invisible or controls."""
    return visible(value) if type(value) is str else value


def verbatim(text: str) -> Markup:
    """A text as it is, for a field in which it is edited; escaped for HTML alone."""
    return escape(text)


def number(value: float) -> str:
    """A number with thin separators: ``12,345``; with one decimal if it is no whole one."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def compact(value: float) -> str:
    """A number in few characters: ``950``, ``12.3k``, ``4.1M``."""
    for least, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= least:
            return f"{value / least:.1f}".removesuffix(".0") + sign
    return f"{value:.0f}"


def money(value: float | None) -> str:
    """US dollars, with as many decimals as say something; a dash if no price is known."""
    if value is None:
        return "–"
    return f"${value:,.2f}" if value >= 1 or not value else f"${value:.4f}"


def size(value: int) -> str:
    """A number of bytes: ``812 B``, ``1.4 MB``."""
    for least, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= least:
            return f"{value / least:.1f} {unit}"
    return f"{value} B"


def percent(value: float) -> str:
    """A share from 0 to 1 as a percentage."""
    return f"{value:.0%}"


def duration(seconds: float) -> str:
    """A time that something took: ``12 ms``, ``3.4 s``, ``2 min 5 s``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def minute(at: datetime) -> str:
    """A time to the minute."""
    return at.strftime("%Y-%m-%d %H:%M")


def second(at: datetime) -> str:
    """A time to the second, with its distance from UTC."""
    return at.isoformat(" ", "seconds")


def pretty(value: Any) -> str:
    """JSON values, or the text of JSON, in lines; a text that is none stays as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


FILTERS: Mapping[str, Any] = {
    each.__name__: each
    for each in (
        verbatim, number, compact, money, size, percent, duration, minute, second, pretty,
    )
}  # fmt: skip
"""The filters of the templates, by name."""


def address(*parts: object, **query: object) -> str:
    """An address of this server made of parts of a path and a query; None and "" are left out of these."""
    path = "/" + "/".join(quote(str(part), safe="") for part in parts)
    asked = "&".join(
        f"{quote(name)}={quote(str(value), safe='')}"
        for name, value in query.items()
        if value not in (None, "")
    )
    return f"{path}?{asked}" if asked else path


def ago(t: Translator, at: datetime, now: datetime) -> str:
    """The time that has passed since, in words."""
    seconds = (now - at).total_seconds()
    if seconds < 60:
        return t("just now")
    if seconds < 3600:
        return t("{n} min ago", n=int(seconds // 60))
    if seconds < 86_400:
        return t("{n} h ago", n=int(seconds // 3600))
    if seconds < 86_400 * 30:
        return t("{n} days ago", one="{n} day ago", n=int(seconds // 86_400))
    return at.date().isoformat()
