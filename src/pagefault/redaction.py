"""Secrets taken out of texts that are shown, logged, stored or sent to a model without being asked for.

One function for all of them: exceptions of tools, alerts, errors, logs. It knows secrets by their form, by
the name that stands before them, and by their value, where an environment variable with the name of a secret
holds it. Left out: what people and documents say, which is kept word for word.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from traceback import format_exception
from urllib.parse import quote

from pagefault.quoting import visible

__all__ = ["logger_of", "redacted", "without_user"]

_MARK = "[redacted]"
_SHORTEST = 8  # characters; a shorter value of a variable may be any word

_NAME = (
    r"pass(?:word|wd|phrase|code)|pwd|secret|credentials?|auth|[a-z0-9]*token"
    r"|(?:api|access|secret|private|auth|signing|account|shared|session|master|encryption)[_-]?key"
)
# An identifier that ends in such a name: DB_PASSWORD, X-Api-Key, userPassword.
_NAMED = (
    rf"(?:[\w-]{{0,40}}[_-])?(?:{_NAME})|[a-z]{{1,40}}(?:Password|Secret|Token|ApiKey|AccessKey|PrivateKey)"
)
_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:PASS(?:WORD|WD|PHRASE|CODE)?|PWD|SECRET|CREDENTIALS?|TOKEN|APIKEY|KEY|PAT|DSN)S?\d*$"
    r"|PASSWORD|SECRET|_(?:KEY|TOKEN)_",
    re.IGNORECASE,
)
_NO_SECRET_VARIABLE = re.compile(
    r"_(?:FILE|PATH|DIR|ID|NAME|URL|URI|HOST|SOCK)$|^(?:OLD)?PWD$", re.IGNORECASE
)

# User name and password may hold any character; a port, which no password is taken for, ends at a slash.
_SCHEME = r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://)"
_USER = r"(?:[^\s/?#@\"'<>]{0,400}@|[^\s/?#@:\"'<>]{0,100}:(?!\d{1,5}(?:[/?#\s]|$))[^\s@\"'<>]{0,400}@)"
_WITH_USER = re.compile(_SCHEME + _USER, re.IGNORECASE)
_URL = re.compile(rf"{_SCHEME}{_USER}?(?P<place>[^\s?#\"'<>]*)(?P<query>\?[^\s\"'<>)\]]*)?", re.IGNORECASE)
_FORMS = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-(?:(?=[\w-]{0,40}\d)[\w-]{8,}|[\w-]{16,})|[srp]k_(?:live|test)_\w{10,}"  # OpenAI and many more
    r"|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{12,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|hf_\w{20,}|gsk_\w{20,}"
    r"|pf_[\w-]{30,}|xai-\w{20,}|npm_\w{30,}|pypi-[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|(?:bot)?\d{8,10}:[A-Za-z][\w-]{32,}"  # Telegram
    r"|eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*"  # a JSON web token
    r")",
    re.ASCII,
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_AUTHORIZATION = re.compile(
    r"(?P<name>\bauthorization['\"]?\s*[:=]\s*b?['\"]?(?:\w+ )?)(?P<value>[^\s'\",;]+)", re.IGNORECASE
)
_BEARER = re.compile(
    r"\b(?P<name>(?:Bearer|Basic|Token)\s+)(?P<value>(?=\S{0,99}\d)(?=\S{0,99}[A-Za-z])[\w.~+/=-]{8,})",
    re.IGNORECASE,
)
# Behind ``=`` and in quotes any value is one; behind a colon without quotes, only what is no plain word.
_ASSIGNED = re.compile(
    rf"(?<![\w-])(?P<name>(?:{_NAMED})['\"]?\s*(?:=|:)\s*b?(?P<quote>['\"]))(?P<value>(?:\\.|(?!(?P=quote)).)+)"
    rf"|(?<![\w-])(?P<name2>(?:{_NAMED})\s*=\s*)(?P<value2>[^\s'\",;&)\]}}]+)"
    rf"|(?<![\w-])(?P<name3>(?:{_NAMED})['\"]?:\s*)(?P<value3>(?=\S{{0,99}}[\d!$%&*+#])[^\s'\",;)\]}}]{{6,}})",
    re.IGNORECASE,
)
_EMPTY = re.compile(
    r"(?:none|null|nil|true|false|undefined|required|missing|str|string|[*.…]+|\$\w+|<.*|\[.*|\{.*)$",
    re.IGNORECASE,
)


def redacted(text: str, *secrets: str) -> str:
    """Return ``text`` without what looks like a secret, and without the given ones. URLs lose user name,
    password, query and what else may hold a token."""
    for value in sorted({*secrets, *_of_environment(os.environ)} - {""}, key=len, reverse=True):
        text = text.replace(value, _MARK)
    text = _URL.sub(_bare_url, text)
    text = _PEM.sub(_MARK, text)
    text = _AUTHORIZATION.sub(_without_value, text)
    text = _BEARER.sub(_without_value, text)
    text = _FORMS.sub(_MARK, text)
    return _ASSIGNED.sub(_without_value, text)


def without_user(url: str) -> str:
    """Return a URL without user name and password."""
    return _WITH_USER.sub(r"\g<scheme>", url)


def _of_environment(environment: Mapping[str, str]) -> Iterable[str]:
    """The values of the variables that have the name of a secret."""
    for name, value in environment.items():
        held = value.strip()
        if len(held) >= _SHORTEST and _SECRET_VARIABLE.search(name) and not _NO_SECRET_VARIABLE.search(name):
            yield from (held, quote(held, safe=""))


def _bare_url(found: re.Match[str]) -> str:
    return found["scheme"] + found["place"] + ("?…" if found["query"] else "")


def _without_value(found: re.Match[str]) -> str:
    parts = found.groupdict()
    name = next(parts[key] for key in ("name", "name2", "name3") if parts.get(key))
    value = next(parts[key] for key in ("value", "value2", "value3") if parts.get(key))
    return found[0] if _EMPTY.match(value) else name + _MARK


class _Redacting(logging.Filter):
    """Takes secrets and control characters out of records, with tracebacks, before a handler sees them."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = visible(redacted(record.getMessage())), None
        if record.exc_info and record.exc_info[0] and not record.exc_text:
            record.exc_text = visible(redacted("".join(format_exception(*record.exc_info)).rstrip()))
        return True


_FILTER = _Redacting()


def logger_of(name: str) -> logging.Logger:
    """Return the logger of a module (or of a library in use), whose records hold no secrets."""
    logger = logging.getLogger(name)
    logger.addFilter(_FILTER)  # a second time is none
    return logger
