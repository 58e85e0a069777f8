"""Administrative acts as the log has them: what was changed, from which value to which, without secrets.

Numbers, switches, names and short lists are shown. Of a text of the user's own, such as instructions, and of
what programs keep with an agent only the name is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from pagefault.quoting import inline
from pagefault.redaction import redacted
from pagefault.tenancy import ApiKey, Quota

__all__ = ["key_made", "quota_set", "settings_changed"]

_LONGEST = 80  # characters of a value that is shown
_UNSHOWN = frozenset({"instructions", "metadata"})


def settings_changed(name: str, old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """The act of storing an agent's settings; one that is not stored has its default."""
    stored = json.loads(json.dumps(dict(new)))  # as they are read again
    return f"changed the settings of {name}: {_changes(old, stored, absent='default')}"


def quota_set(old: Quota | None, new: Quota) -> str:
    """The act of setting a quota."""
    return f"set the quota: {_changes(asdict(old or Quota()), asdict(new))}"


def key_made(key: ApiKey) -> str:
    """The act of making a key."""
    reach = "all agents" if key.agents is None else ", ".join(key.agents) or "no agent"
    reach = reach if key.tag is None else f"the tag {inline(key.tag, 64)}"
    speaks = ", speaks for users" if key.speaks_for_users else ""
    rate = "" if key.rate is None else f", {key.rate:,} requests a minute" if key.rate else ", at any rate"
    body = "" if key.body is None else f", {key.body:,} bytes a request"
    return f"made the key {key.name}, role {key.role}, for {reach}{speaks}{rate}{body}"


def _changes(old: Mapping[str, object], new: Mapping[str, object], absent: str = "none") -> str:
    changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    said: list[str] = []
    for key in changed:
        values = [_shown(of[key]) if key in of else absent for of in (old, new)]
        is_shown = key not in _UNSHOWN and None not in values
        said.append(f"{key} {values[0]} -> {values[1]}" if is_shown else key)
    return "; ".join(said) or "nothing"


def _shown(value: object) -> str | None:
    """The value in one line; None if it is too long for the log, or made of parts."""
    if isinstance(value, list):
        words = cast("list[object]", value)
        value = ", ".join(map(str, words)) if all(isinstance(each, str) for each in words) else {}
    if isinstance(value, dict):
        return None
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value)
    said = inline(redacted(text), _LONGEST + 1)
    return None if len(said) > _LONGEST else said or "none"
