"""Time zones by name: IANA names, POSIX rules such as ``CET-1CEST,M3.5.0,M10.5.0/3``, and the machine's own.

The names are what is stored. Left out: times (``clock``).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal import get_localzone_name

from pagefault.errors import UsageError

__all__ = ["local_zone_name", "zone_named"]

_POSIX = re.compile(
    r"[A-Za-z<][!-~]{3,99}"
)  # three or more printable characters without spaces, one a letter
_LOCALTIME = Path("/etc/localtime")


@lru_cache(maxsize=256)
def zone_named(name: str, whose: str = "") -> ZoneInfo:
    """Return the zone of this name or rule; ``UsageError`` if there is none.

    ``whose`` says where the name stands, for the sentence.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, or a name too long
        pass
    try:
        if _POSIX.fullmatch(name):
            return _by_rule(name)
    except ValueError:
        pass
    shown = f"{whose} is {name[:100]!r}, which" if whose else repr(name[:100])
    raise UsageError(f"{shown} is not a time zone; write one like Europe/Lisbon.")


def local_zone_name(environment: Mapping[str, str] = os.environ, localtime: Path = _LOCALTIME) -> str:
    """Return the name or rule of the machine's zone: ``TZ`` as C programs read it, else what the system is
    set to, else UTC. ``UsageError`` if ``TZ`` names none or the system's own files contradict each other."""
    given = environment.get("TZ")
    if given is not None:
        name = _without_folder(given.strip().removeprefix(":")) or "UTC"
        zone_named(name, "The environment variable TZ")
        return name
    try:
        return get_localzone_name() or _rule_in(localtime) or "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            "The machine's time zone cannot be told from its files; set TZ to one like Europe/Lisbon."
        ) from None


def _by_rule(rule: str) -> ZoneInfo:
    """A zone by a POSIX rule: to the standard library the footer of a zone file without transitions."""
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 1)
    body = bytes(6) + b"\0"
    return ZoneInfo.from_file(BytesIO(2 * (header + body) + b"\n" + rule.encode() + b"\n"), key=rule)


def _without_folder(path: str) -> str:
    """``Europe/Lisbon`` for a path to a file of zones such as ``/usr/share/zoneinfo/Europe/Lisbon``."""
    if not path.startswith("/"):
        return path
    for candidate in (path, os.path.realpath(path)):
        _, folder, name = candidate.rpartition("/zoneinfo/")
        if folder:
            return name
    return _rule_in(Path(path)) or path


def _rule_in(file: Path) -> str:
    """The POSIX rule at the end of a zone file, which holds from today on; empty if there is none."""
    try:
        data = file.read_bytes()
    except OSError:
        return ""
    return data.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii", "replace") if data[:4] == b"TZif" else ""
