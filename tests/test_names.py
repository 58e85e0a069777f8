"""Names in the frames of a prompt: taken, refused with a sentence, or shown as harmless."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Machine, Run
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.errors import UsageError
from pagefault.names import (
    check_agent_name,
    check_kind,
    check_look_alike,
    check_sender,
    shown_kind,
    shown_sender,
)
from pagefault.testing.models import ScriptedModel
from pagefault.types import AgentRecord

NAMES = (
    "ana", "Ana-2", "a", "bot_1.x", "café", "Аня", "Ελένη", "太郎", "太郎Taro", "たろう", "ソーダー",
    "한글Bot", "नमस्ते", "ไทย", "مريم", "שרה", "Zoë", "東京01", "ㄅㄆMing",
)  # fmt: skip
MIXED = ("аna", "anа", "Ωmega", "aα", "ana\u0661", "раypal", "gοοgle", "сат1a", "あа", "漢я")
ODD = (
    "", " ", "x y", "a\nb", "a\u200bb", "a\u200db", "\u202eana", "ana\u0000", "a]b", "[user", "a" * 65, ".a",
    "-a", "_a", "a/b", "a\ud83d", "Ａna", "ⅣB", "ana１", "cafe\u0301", "𝐚na", "ﬁn", "bot🤖",
    "a\ufe0f", "a\u034f", "\u3164", "a\u3164", "a\u2028b",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_one_script_and_usual_mixes_are_taken(name: str) -> None:
    check_agent_name(name)


@pytest.mark.parametrize("name", MIXED, ids=ascii)
def test_mixed_scripts_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be an agent's name, because it mixes .* letters"):
        check_agent_name(name)


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_what_shows_nothing_or_looks_like_others_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be an agent's name") as refused:
        check_agent_name(name)
    str(refused.value).encode()


@pytest.mark.parametrize(
    ("name", "other"),
    [("асе", "ace"), ("рара", "papa"), ("ΑΒΕ", "ABE"), ("НОТ", "HOT"), ("οο", "oo"), ("сосо", "coco")],
)
def test_a_name_that_looks_like_another_agents_is_refused(name: str, other: str) -> None:
    with pytest.raises(UsageError, match="looks like the agent"):
        check_look_alike(name, ["bob", other])
    check_look_alike(name, [name, "bob"])


def test_plain_names_never_look_alike() -> None:
    check_look_alike("al", ["a1", "aI", "al"])


@given(st.text(max_size=70))
def test_every_name_is_taken_or_refused_with_a_sentence(name: str) -> None:
    with suppress(UsageError):
        check_agent_name(name)
        assert unicodedata.normalize("NFKC", name) == name
        assert all(unicodedata.category(c)[0] in "LNMP" for c in name)
    for shown in (shown_sender(name), shown_kind(name)):
        assert not set(unicodedata.normalize("NFKC", shown)) & set("[]{}<>\n\u2028")
        assert len(shown.splitlines()) <= 1
        assert len(shown) <= 64


@pytest.mark.parametrize(
    "sender", ["Ana", "Ana Silva", "O'Neil", "李雷", "مريم", "ana-2", "Ana (work)", "bot #3", "a@b.org"]
)
def test_plain_senders_are_taken(sender: str) -> None:
    check_sender(sender)
    assert shown_sender(sender) == sender


@pytest.mark.parametrize(
    "sender",
    [
        "", " Ana", "a\nb", "a\rb", "a\u2028b", "a\u2029b", "a\x85b", "a\x0bb", "a]b", "a［b", "a】b",
        "a{b}", "a<b", "a 2026-03-01", "a ２０２６‑０３‑０１", "2026/3/1", "at 09:00", "\u202eAna",
        "\u2066a", "a\x1b[1m", "a\x9bb", "a\u200bb",
        "x" * 65, "a\ud83d", "\u3164", "a\U000e0041",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_sender_that_could_pass_for_a_frame_is_refused(sender: str) -> None:
    with pytest.raises(UsageError, match="cannot be a sender"):
        check_sender(sender)


@pytest.mark.parametrize(
    "kind",
    [
        "user", "assistant", "system", "tool", "recall", "archival", "summary", "memory_pressure", "User",
        "a b", "", "x" * 65, "usеr", "a\n",
    ],
)  # fmt: skip
def test_reserved_and_odd_kinds_are_refused(kind: str) -> None:
    with pytest.raises(UsageError, match="is not a kind of event to post"):
        check_kind(kind)
    assert shown_kind(kind) in ("event", "memory_pressure")


@pytest.mark.anyio
async def test_no_way_gives_an_agent_a_name_that_looks_like_anothers(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await rig.kernel.create_agent("ace", parse_settings({}))
        for name in ("асе", "аna"):
            with pytest.raises(UsageError):
                await rig.kernel.create_agent(name, parse_settings({}))
            with pytest.raises(UsageError):
                await rig.kernel.rename("ana", name)
            with pytest.raises(UsageError):
                await rig.kernel.ensure_agent(name, parse_settings({}))
        await rig.kernel.create_agent("Аня", parse_settings({}))


def test_the_command_line_refuses_them_in_a_sentence(run: Run) -> None:
    for command in (("agent", "create", "аna"), ("chat", "--agent", "аna")):
        ran = run(*command)
        assert ran.code == 1
        assert "cannot be an agent's name, because it mixes Cyrillic and Latin letters" in ran.err


NAMED = (("aсe", "mixes Cyrillic and Latin"), ("асе", "looks like the agent"), ("a\u202eb", "cannot be"))


@pytest.mark.parametrize(("name", "why"), NAMED, ids=ascii)
def test_an_import_brings_no_name_that_could_pass_for_another(
    run: Run, tmp_path: Path, name: str, why: str
) -> None:
    async def store() -> None:
        kernel = open_kernel(tmp_path / "other", installation=Installation(embedder="null"))
        record = AgentRecord(name, parse_settings({}).model_dump(mode="json"), kernel.clock.now())
        await kernel.store.write(lambda tx: tx.create_agent(record))
        await kernel.close()

    anyio.run(store)
    exported = tmp_path / "other.jsonl"
    assert run("--home", str(tmp_path / "other"), "db", "export", name, str(exported)).code == 0
    assert run("agent", "create", "ace").code == 0
    for options in ((), ("--name", name)):
        ran = run("db", "import", str(exported), *options)
        assert ran.code == 1
        assert why in ran.err
    assert [each["name"] for each in run("--json", "agent", "list").json] == ["ace"]
