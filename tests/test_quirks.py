"""The quirk matrix: every quirk against every adapter whose shape it has, through the whole stack of a model.

What must come of it stands with the quirk; nothing may be dropped silently. The same runs make the table in
``docs/providers.md``: each is held to its cell there, and ``PAGEFAULT_RENEW_MATRIX=1`` writes the table anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from adapters import NAMES
from pagefault.errors import (
    BodyTooLarge,
    ContextLengthExceeded,
    FunctionError,
    ModelError,
    ModelSetupError,
    ModelUnavailable,
)
from pagefault.functions.describing import describe
from pagefault.functions.executor import FunctionExecutor
from pagefault.models import Completion, Notice, Prompt, StreamItem
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.directory.findings import Findings
from pagefault.models.directory.providers import PROVIDERS
from pagefault.models.endpoint import ModelFinding, RequestSettings
from pagefault.testing.models import PROMPT
from pagefault.testing.providers import ProviderRequest, ProviderServer, Shape, Turn
from pagefault.testing.providers.quirks import ALL, QUIRKS, Quirk

PAGE = Path(__file__).parents[1] / "docs/providers.md"
BEGIN, END = "<!-- the quirk matrix: begin -->", "<!-- the quirk matrix: end -->"
CELLS = [(quirk.name, shape) for quirk in QUIRKS.values() for shape in ALL if shape in quirk.shapes]


def note(text: str, loud: bool = False) -> str:
    """Keep a note."""
    return f"{text}{'!' * loud}"


EXECUTOR = FunctionExecutor.of([describe(note, "query")], "native", 10.0)
ASKED = replace(PROMPT, functions=EXECUTOR.schemas)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one request through the whole stack."""

    items: Sequence[StreamItem]
    error: ModelError | None
    requests: int

    @property
    def notices(self) -> list[Notice]:
        return [item for item in self.items if isinstance(item, Notice)]

    @property
    def end(self) -> Completion:
        assert isinstance(self.items[-1], Completion)
        return self.items[-1]


async def run(quirk: Quirk, shape: Shape, prompt: Prompt = ASKED) -> Run:
    """Ask the model that the catalogue makes, while its server has the quirk."""

    def turn(request: ProviderRequest) -> Turn:
        amiss = quirk.lasting or len(server.seen) == 1
        return quirk.make(quirk.sample, request) if amiss else quirk.sample

    name = NAMES[shape].partition(":")[0]
    with ProviderServer(turn) as server, TemporaryDirectory() as home:
        own = {name: replace(PROVIDERS[name], timeout=quirk.wait)}
        findings = Findings(Path(home) / "models.json")
        if quirk.late_thinking:
            findings.remember(NAMES[shape], ModelFinding("native", late_thinking=True))
        catalogue = Catalogue(server.environment, own, findings, delay=0.01)
        patience = 3.0 if quirk.lasting else 600.0  # a lasting fault is retried as long as that
        model = catalogue.model(NAMES[shape], 8192, RequestSettings(calling=quirk.calling, patience=patience))
        items: list[StreamItem] = []
        failed: ModelError | None = None
        try:
            async for item in model.stream(prompt):
                items.append(item)
        except ModelError as error:
            failed = error
        finally:
            await catalogue.aclose()
        return Run(items, failed, len(server.seen))


def outcome(quirk: Quirk, ran: Run) -> str:
    """What happened, in the words of the table; a sentence if something is wrong that no word is for."""
    if ran.error:
        return refused(ran.error)
    said, end = quirk.sample, ran.end
    told: list[str] = []
    if any("again in" in notice.text for notice in ran.notices):
        told.append("retried")
    if any("asked for JSON objects" in notice.text for notice in ran.notices):
        told.append("JSON mode")
    if any("was thinking" in notice.text for notice in ran.notices):
        told.append("retracted")
    if end.notes:
        told.append("noted")
    if end.usage != said.usage and not end.text and not end.calls:
        return "empty"
    if any("was left as text" in note for note in end.notes):
        return "as text" if end.text and not (end.calls or end.thinking) else "partly text"
    if end.cut:
        told.append("cut")
    elif wrong := differs(said, end):
        return wrong
    try:
        prepared = [EXECUTOR.prepare(call.name, call.arguments) for call in end.calls]
    except FunctionError:
        return "reported to the model"
    if any(one.notes for one in prepared):
        told.append("executor")
    wanted = [EXECUTOR.prepare(call.name, call.arguments).arguments for call in said.calls]
    if not end.cut and [one.arguments for one in prepared] != wanted:
        return f"other arguments: {[one.arguments for one in prepared]}"
    if end.usage != said.usage:
        told.append("usage as reported" if end.usage else "no usage")
    return ", ".join(told) or "right"


def refused(error: ModelError) -> str:
    kinds: dict[type[ModelError], str] = {
        BodyTooLarge: "too long",
        ContextLengthExceeded: "too long",
        ModelSetupError: "setup",
        ModelUnavailable: "unavailable",
    }
    if type(error) in kinds:
        return kinds[type(error)]
    return "filtered" if "content filter" in str(error).lower() else "unanswered"


def differs(said: Completion, end: Completion) -> str:
    """What is not as it was said; empty if nothing is."""
    if end.text != said.text:
        return f"another text: {end.text!r}"
    if end.thinking != said.thinking:
        return f"other thinking: {end.thinking!r}"
    if len(end.calls) != len(said.calls):
        return f"{len(end.calls)} calls of {len(said.calls)}"
    ids = {call.id for call in end.calls}
    return "" if len(ids) == len(end.calls) and all(ids) else "ids that are not their own"


def expected(quirk: Quirk, shape: Shape) -> str:
    return quirk.otherwise.get(shape, quirk.outcome)


@pytest.mark.parametrize(("name", "shape"), CELLS)
def test_what_comes_of_a_quirk_is_what_must_come_of_it(name: str, shape: Shape) -> None:
    quirk = QUIRKS[name]
    ran = anyio.run(run, quirk, shape)
    assert outcome(quirk, ran) == expected(quirk, shape), ran
    assert cells(PAGE.read_text("utf-8"))[name][ALL.index(shape)] == expected(quirk, shape)
    if ran.error:
        assert re.fullmatch(r"[^\n]+[^\n.:]\.?", str(ran.error))


# the table


def table() -> str:
    head = "| quirk | seen at | OpenAI shape | Anthropic | Ollama | Gemini |\n|---|---|---|---|---|---|"
    rows = [
        " | ".join(
            (f"`{quirk.name}`", quirk.about, *(expected(quirk, s) if s in quirk.shapes else "" for s in ALL))
        )
        for quirk in QUIRKS.values()
    ]
    return "\n".join([head, *(f"| {row.replace('  ', ' ')} |" for row in rows)])


def cells(page: str) -> dict[str, list[str]]:
    """The outcomes by quirk, as the page has them."""
    return {row[0].strip("`"): row[2:] for row in rows(page)}


def rows(page: str) -> Iterator[list[str]]:
    lines = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_in_the_docs_is_that_of_the_quirks() -> None:
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    fresh = f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"
    if os.environ.get("PAGEFAULT_RENEW_MATRIX"):
        PAGE.write_text(fresh, "utf-8")
    assert PAGE.read_text("utf-8") == fresh, "renew it with PAGEFAULT_RENEW_MATRIX=1"


def test_every_outcome_is_explained() -> None:
    page = PAGE.read_text("utf-8")
    used = {expected(quirk, shape) for quirk in QUIRKS.values() for shape in quirk.shapes}
    words = {word for outcome in used for word in outcome.split(", ")}
    assert [word for word in sorted(words) if f"**{word}**" not in page] == []


@pytest.mark.parametrize(("name", "shape"), CELLS)
def test_a_quirk_takes_any_completion(name: str, shape: Shape) -> None:
    paths: dict[Shape, str] = {"gemini": "/m:streamGenerateContent"}
    request = ProviderRequest(paths.get(shape, "/"), shape, b'{"stream": true}', {}, "")
    for said in (Completion("ok"), Completion(), QUIRKS[name].sample):
        assert QUIRKS[name].make(said, request) is not None
