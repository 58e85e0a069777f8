"""Letta's names of things as ours, and back: agents, blocks, folders, models, limits in characters.

Letta lets any text be a name, and several things have the same one; here a name is a word, and an agent's own
within its tenant. Everything in this module is pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from itertools import chain, count

from pagefault.errors import UsageError
from pagefault.names import LONGEST, could_be_agent_name
from pagefault.quoting import inline

__all__ = [
    "CHARACTERS",
    "LIMIT",
    "LONGEST_SECTION",
    "agent_name",
    "archive_name",
    "free_name",
    "handle_of",
    "model_name",
    "section_name",
]

CHARACTERS = 4
"""The characters that stand for a token, where Letta counts characters and pagefault tokens."""

LIMIT = "pagefault_limit"
"""The key of the limit in tokens in a block's metadata, in our files: characters do not give it exactly."""

LONGEST_SECTION = 32  # characters of a section's name

_PROVIDERS = {"google_ai": "google", "google_vertex": "google", "lmstudio_openai": "lmstudio"}
"""The providers that Letta calls otherwise."""


def agent_name(name: str) -> str:
    """The agent's name for one of Letta's: other characters become dashes."""
    composed = unicodedata.normalize("NFKC", name).strip()
    kept = "".join(c if c in "_.-" or could_be_agent_name("a" + c) else "-" for c in composed)
    return re.sub(r"-{2,}", "-", kept).strip("-_.")[:LONGEST].rstrip("-_.")


def archive_name(name: str) -> str:
    """The archive's name for that of a folder or archive: plain letters."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")[:LONGEST].rstrip("-_.")


def section_name(label: str) -> str:
    """The section's name for the label of a block: small letters, digits and underscores; ``UsageError`` if
    none is left."""
    plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    name = (f"b_{name}" if name[:1].isdigit() else name)[:LONGEST_SECTION].rstrip("_")
    if not name:
        raise UsageError(f"{inline(label)!a} cannot be the label of a block; use letters of English.")
    return name


def free_name(wanted: str, taken: Container[str], between: str = "-", longest: int = LONGEST) -> str:
    """The name, or with a number behind it the first that is not taken."""
    ends = chain([""], (f"{between}{number}" for number in count(2)))
    return next(name for end in ends if (name := wanted[: longest - len(end)] + end) not in taken)


def model_name(handle: str) -> str:
    """The model's name for a handle: ``openai:gpt-4o-mini`` for ``openai/gpt-4o-mini``."""
    provider, _, model = handle.partition("/")
    provider = _PROVIDERS.get(provider, provider)
    return "offline" if provider == "offline" else f"{provider}:{model}"


def handle_of(model: str) -> str:
    """The handle of a model, the first of several: the counterpart of ``model_name``."""
    first = model.split(",")[0].strip()
    if first.startswith(("http://", "https://")):
        return f"server/{first.partition('#')[2] or first}"
    provider, _, name = first.partition(":")
    return f"{provider}/{name or provider}"
