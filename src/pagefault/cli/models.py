"""The providers of models, and what one model can do: `models`, `models check`, `models trust`.

The list looks at settings and environment and asks no server; the check asks one.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import anyio

from pagefault.build import catalogue_of
from pagefault.cli.render import table
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.models.endpoint import CheckResult

_CALLING = {
    "native": "by the provider's own protocol",
    "text": "written as text, which its agents read from now on; text_tools = true lets such calls run tools",
    "json": "in JSON mode, which its agents use from now on",
    "none": "no: it made no correct call; choose another model",
}
_IMAGES = {
    True: "yes",
    False: "no: it is sent the names and sizes of images alone",
    None: "not known; its agents try",
}


def list_all(session: Session) -> None:
    """One line to a provider, the one that new agents use marked."""
    catalogue = catalogue_of(session.folder, session.installation)
    chosen = session.installation.agent.model.partition(":")[0]
    data: list[dict[str, Any]] = [
        {
            "provider": name,
            "example": f"{name}:{provider.example}" if provider.example else name,
            "is": provider.about,
            "local": provider.local,
            "set": name == chosen,
            "missing": catalogue.missing(name),
        }
        for name, provider in catalogue.providers.items()
    ]
    rows = [
        [
            f"{'*' if line['set'] else ' '} {line['example']}",
            line["missing"] or f"{'needs no key' if line['local'] else 'ready'}: {line['is']}",
        ]
        for line in data
    ]
    session.show(data, table(rows))


def trust(session: Session, name: str) -> None:
    """Let the server of ``URL#NAME`` have the key for servers."""
    catalogue = catalogue_of(session.folder, session.installation)
    (target, *_) = catalogue.targets(name)
    if not name.startswith(("http://", "https://")):
        raise UsageError(f"{name} names no server; write URL#NAME. Keys of providers go to those alone.")
    new = catalogue.trust(name)
    said = "is given the key for servers from now on" if new else "was given the key already"
    session.show({"model": name, "new": list(new)}, f"{target.endpoint.base_url} {said}.")


def check(session: Session, name: str) -> None:
    """Exits with 1 if the model is of no use here."""

    async def ask() -> tuple[CheckResult, int, str]:
        catalogue = catalogue_of(session.folder, session.installation)
        try:
            checked = await catalogue.check(name)
            window, notice = await catalogue.window(name, None)
        finally:
            await catalogue.aclose()
        return checked, window, notice

    checked, window, notice = anyio.run(ask)
    data = {"model": name, "reachable": not checked.error, "window": window, "window_note": notice}
    session.show(data | asdict(checked), _text(name, checked, window, notice))
    if checked.error or checked.calling == "none":
        raise SystemExit(1)


def _text(name: str, checked: CheckResult, window: int, notice: str) -> str:
    if checked.error:
        return f"{name} does not answer: {checked.error}"
    used = f"{checked.input:,} in, {checked.output:,} out" if checked.reported else "not reported: estimated"
    rows = [
        ["reachable", f"yes, as {checked.answered_by or name}, first piece after {checked.first:.1f} s"],
        ["window", notice or f"{window:,} tokens"],
        ["functions", _CALLING[checked.calling]],
        ["images", _IMAGES[checked.images]],
        ["streaming", "yes" if checked.streams else "no: answers come in one piece"],
        ["thinking", _thinking(checked)],
        ["usage", used],
        ["prompt cache", _cache(checked)],
        *[["adapted", note] for note in checked.adapted or ("nothing",)],
    ]
    return table([[f"  {what}", found] for what, found in rows])


def _thinking(checked: CheckResult) -> str:
    if checked.late_thinking:
        return "yes, in the text before </think>; its agents show it apart from now on"
    return "yes, shown apart" if checked.thinks else "none seen"


def _cache(checked: CheckResult) -> str:
    if checked.cached or checked.written:
        return f"yes: {checked.cached:,} tokens read from it, {checked.written:,} written to it"
    return "none seen; most providers cache prompts of 1,024 tokens and more, and these were shorter"
