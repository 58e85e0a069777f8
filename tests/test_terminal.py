"""Text that is stored or typed cannot control a terminal: every command, hostile text in every place."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from rich.text import Text

from conftest import Run
from pagefault.build import open_kernel
from pagefault.cli.screens import JsonLines, Lines, Screen, Terminal, console
from pagefault.config import Installation, parse_settings
from pagefault.kernel.edits import add_timer, put_document
from pagefault.kernel.facts import remember
from pagefault.redaction import logger_of
from pagefault.storage import Transaction
from pagefault.types import Document, Event, Message, Output, OutputType, Page, Passage, Role, Section

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x00\x08\x7f\x0b\x85\u202egnp\u2066\u2028\u200b\U000e0041x"
GOOD = "مرحبا 👨\u200d👩\u200d👧 नमस्ते"


def controls(text: str) -> list[str]:
    """The characters that a terminal might obey, or that hide or turn text around."""
    return [
        ascii(c)
        for c in text
        if c not in "\n\t\u200c\u200d" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an agent in whose every text there are control characters."""
    anyio.run(_fill, tmp_path / "home")
    return tmp_path / "home"


async def _fill(home: Path) -> None:
    kernel = open_kernel(home, installation=Installation(embedder="null"))
    text = f"tea {GOOD} {HOSTILE}"
    try:
        record = await kernel.create_agent("ana", parse_settings({"model": "offline"}))
        now = kernel.clock.now()

        def write(tx: Transaction) -> None:
            tx.append(
                record.id,
                [
                    Message(
                        role, text, now, f"[user] {text}", name=HOSTILE, speaker=HOSTILE, seq=number, event=1
                    )
                    for number, role in enumerate(Role, 1)
                ],
            )
            tx.put_section(record.id, Section("human", HOSTILE, 500, text), now)
            tx.post(record.id, Event(f"x{HOSTILE}", text, sender=HOSTILE, at=now))
            tx.insert_passages(record.id, [Passage(text, now, (HOSTILE,), HOSTILE, title=HOSTILE)])

        await kernel.store.write(write)
        await remember(kernel, "ana", text, tags=[HOSTILE])
        await add_timer(kernel, "ana", text, when="+9h")
        document = Document(f"/{HOSTILE}.txt", HOSTILE, "text/plain", "00", now, 1, (HOSTILE,))
        await put_document(kernel, await kernel.record("ana"), document, [Page(1, HOSTILE, text)], [])
    finally:
        await kernel.close()


SHOWN = (
    "agent show ana",
    "agent context ana",
    "recall search tea --agent ana",
    "recall search --agent ana",
    "archival list --agent ana",
    "archival search tea --agent ana",
    "schedule list ana",
    "document list --agent ana",
    "document show d1 --agent ana",
    "trace ana 1",
    "usage ana",
    "usage --by model",
    "models",
    "db check",
)
GIVEN = (
    "agent show nobody",
    f"agent show {HOSTILE}",
    f"agent create {HOSTILE}",
    f"recall search tea --agent ana --since {HOSTILE}",
    f"trace ana {HOSTILE}",
    f"document show {HOSTILE} --agent ana",
    f"archival delete {HOSTILE} --agent ana",
    f"event post ana {HOSTILE}",
    f"schedule add ana x --when {HOSTILE}",
    f"load {HOSTILE} --agent ana",
    f"load http://127.0.0.1:9/{HOSTILE} --agent ana",
    f"db import /{HOSTILE}",
    f"{HOSTILE}",
    f"agent list --{HOSTILE}",
    f"chat --model {HOSTILE}",
    f"chat --zone {HOSTILE}",
)
COMMANDS = (*SHOWN, *GIVEN)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.replace(HOSTILE, "HOSTILE"))
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_no_command_prints_a_control_character(run: Run, command: str, as_json: bool) -> None:
    words = [word.replace("\0", "") for word in command.split(" ")]
    ran = run("--json", *words) if as_json else run(*words)
    assert controls(ran.out) == []
    assert controls(ran.err) == []
    assert "Traceback" not in ran.err
    if command in SHOWN:
        assert "owned" in ran.out or command in (
            "db check",
            "models",
            "agent list",
            "usage ana",
            "usage --by model",
        )
        assert not as_json or json.loads(ran.out) is not None


@pytest.mark.usefixtures("home")
def test_what_is_harmless_is_printed_as_it_is(run: Run) -> None:
    assert GOOD in run("recall", "search", "tea", "--agent", "ana").out
    assert GOOD in run("--json", "recall", "search", "tea", "--agent", "ana").out


KINDS: tuple[OutputType, ...] = (
    "delta", "said", "thought", "called", "returned", "flushed", "alerted", "warned", "noticed", "progress",
    "retracted",
)  # fmt: skip


@pytest.mark.parametrize("make", [Lines, JsonLines, lambda: Terminal(HOSTILE)], ids=["lines", "json", "tty"])
def test_no_output_of_an_agent_controls_the_screen(
    make: Callable[[], Screen], capsys: pytest.CaptureFixture[str]
) -> None:
    screen = make()
    for kind in KINDS:
        data = {"of": "said", "extracted": HOSTILE, "messages": HOSTILE}
        screen.show(Output(kind, f"tea {HOSTILE}", 1, 1, HOSTILE, data), True)
    screen.notice(HOSTILE)
    screen.show(Output("done", "", 1, 1), True)
    shown = capsys.readouterr()
    assert controls(shown.out) == []
    assert controls(shown.err) == []


def test_a_terminal_gets_the_codes_of_the_console_alone() -> None:
    out = console()
    segments = out.render(Text(HOSTILE.replace("\0", ""), "bold"))
    assert controls("".join(segment.text for segment in segments)) == []


@pytest.mark.usefixtures("home")
def test_a_log_record_is_plain_text(caplog: pytest.LogCaptureFixture) -> None:
    logger_of("pagefault.test").warning("agent %s", HOSTILE)
    assert controls(caplog.messages[0]) == []
