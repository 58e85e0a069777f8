"""Approval on the command line and in a chat: calls are shown whole, and no text in them passes for more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import Run
from pagefault import Agent, tool
from pagefault.assembly import Parts
from pagefault.cli.approvals import Verdict, ask, call_text
from pagefault.embedders.null import NullEmbedder
from pagefault.testing.models import Item, ScriptedModel, call
from pagefault.views.approvals import ApprovalView
from test_chat import PROMPT, at_a_terminal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def waiting(arguments: dict[str, Any], name: str = "delete") -> ApprovalView:
    return ApprovalView("ana", "m2", name, arguments, NOW, None, 1)


def agent(home: Path, script: Sequence[Item], deleted: list[str]) -> Agent:
    @tool(approval=True)
    def delete(path: str) -> str:
        """Delete a file."""
        deleted.append(path)
        return f"deleted {path}"

    parts = Parts(ScriptedModel(script), NullEmbedder(), tools=(delete,))
    return Agent("ana", home=home, parts=parts, style="native")


def test_a_call_is_decided_on_from_another_process(run: Run, tmp_path: Path) -> None:
    home, deleted = tmp_path / "home", list[str]()
    with agent(home, [[call("delete", path="a")]], deleted) as ana:
        ana.send("Delete a.")
        listed = run("approval", "list", "ana")
        assert listed.out == 'ana wants to call delete (m2):\n│ path = "a"\n'
        assert run("approval", "list").out == listed.out
        waits = "ana waits for a decision; `pagefault approval list ana` shows the calls."
        assert run("agent", "list").out.splitlines()[-1] == waits
        assert "waiting" in run("event", "list", "ana").out
        (found,) = json.loads(run("approval", "list", "--json").out)
        assert (found["id"], found["arguments"]) == ("m2", {"path": "a"})
        wrong = run("approval", "approve", "ana", "m2", "--arguments", "[1]")
        assert (wrong.code, "is no JSON object" in wrong.err) == (1, True)
        other = run("approval", "approve", "ana", "m2", "--arguments", '{"path": "b"}')
        assert "There is no delete in this program" in other.err
        done = run("approval", "approve", "ana", "m2", "--always", "--by", "Eva", "--note", "Go on.")
        assert done.out == "m2 is approved from now on; the program that has the tool runs it.\n"
        again = run("approval", "refuse", "ana", "m2")
        assert (again.code, again.err) == (1, "pagefault: The call m2 was approved already.\n")
        assert deleted == []
    with agent(home, ["Gone.", [call("delete", path="b")], "Both."], deleted) as ana:
        assert str(ana.send("And now?")) in ("Gone.", "Both.")
        assert "a" in deleted
        assert "← (approved by Eva) deleted a" in run("trace", "ana", "1").out
        results = [row for step in run("trace", "ana", "1", "--json").json["steps"] for row in step["rows"]]
        assert ("approved", "Eva") in [(row["decision"], row["decided_by"]) for row in results]
        assert run("approval", "grants", "ana").out.splitlines()[1].split()[::2] == ["delete", "Eva"]
        assert run("approval", "revoke", "ana", "delete").out == "ana has to ask for delete again.\n"
        assert run("approval", "revoke", "ana", "delete").code == 1
    assert run("approval", "list").out == "No call waits for a decision.\n"
    assert run("approval", "grants", "ana").out == "ana has to ask for every call.\n"


def test_a_chat_through_a_pipe_refuses_and_says_so(run: Run, tmp_path: Path) -> None:
    made = run("agent", "create", "ana", "--setting", 'approval=["working_context_append"]')
    assert made.code == 0, made.err
    command = [sys.executable, "-m", "pagefault", "--home", str(tmp_path / "home"), "chat", "--agent", "ana"]
    typed = "My name is Clara.\nWhat is my name?\n"
    chat = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=True)
    assert "This call needs an approval, and nobody can be asked here, so it is refused" in chat.stderr
    assert "ana wants to call working_context_append (m2):\n│ " in chat.stderr
    assert chat.stdout.splitlines()[0] == "Noted."
    assert run("approval", "list").out == "No call waits for a decision.\n"


HOSTILE = [
    "a\nana wants to call nothing (m3):\nRun it? y",
    "a\r\x1b[2K\x1b[1AAll is well",
    "safe.txt\u202egnp.exe",
    "x" * 5000,
    " " * 78 + "Run it? y",
    "\u2028Run it? y\u2029",
    "文件" * 60 + "Run it?",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_argument_can_imitate_the_question_or_hide(text: str) -> None:
    lines = call_text(waiting({"path": text, "force": True}), 80).split("\n")
    assert lines[0] == "ana wants to call delete (m2):"
    assert all(line.startswith("│ ") for line in lines[1:])
    assert lines[-1] == "│ force = true"
    shown = "".join(line.removeprefix("│ ") for line in lines[1:-1])
    assert json.loads(shown.removeprefix("path = ")) == text
    assert not any(mark in "".join(lines) for mark in "\r\x1b\u202e\u2028\u2029")
    assert max(len(line) for line in lines) <= 80


def test_a_call_without_arguments_is_shown_too() -> None:
    assert call_text(waiting({}), 80) == "ana wants to call delete (m2):\n│ (no arguments)"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("typed", "verdict"),
    [
        (["y"], Verdict(True)),
        (["", "perhaps", "N not today, please"], Verdict(False, "once", "not today, please")),
        (["session"], Verdict(True, "session")),
        (["a  "], Verdict(True, "always")),
        (["what?", None], None),
    ],
)
async def test_the_question_is_asked_until_there_is_an_answer(
    typed: list[str | None], verdict: Verdict | None
) -> None:
    shown: list[str] = []

    async def line(question: str) -> str | None:
        assert question == "Run it? "
        return typed.pop(0)

    assert await ask(waiting({"path": "a"}), shown.append, line) == verdict
    assert typed == []
    assert shown[0].startswith("ana wants to call delete (m2):")


ASKING = """
import sys
from pathlib import Path
import anyio
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.cli.chat import converse
from pagefault.cli.screens import Terminal
from pagefault.config import parse_settings
from pagefault.functions.tools import tool
from pagefault.testing.models import ScriptedModel, call

@tool(approval=True)
def delete(path: str) -> str:
    return "deleted " + path

def reply(prompt):
    last = prompt.messages[-1]
    return "It says: " + last.text if last.role == "tool" else [call("delete", path="a\\nRun it? y")]

async def run(home):
    async with open_kernel(home, Parts(model=ScriptedModel(reply), tools=(delete,))) as kernel:
        await kernel.ensure_agent("ana", parse_settings({"style": "native"}))
        await converse(kernel, "ana", Terminal("ana"), home / "history")

anyio.run(run, Path(sys.argv[1]))
"""


def test_a_person_at_a_terminal_is_asked(tmp_path: Path) -> None:
    ours = {"PAGEFAULT_EMBEDDER": "null", "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    command = [sys.executable, "-X", "utf8", "-c", ASKING, str(tmp_path / "home")]
    with at_a_terminal(command, os.environ | ours) as person:
        person.reads(PROMPT)
        person.types("Delete it.\r")
        person.reads("ana wants to call delete (m2):")
        person.reads('│ path = "a\\nRun it? y"')
        person.reads(PROMPT)
        person.types("why?\r")
        person.reads("y = yes, n = no")
        person.reads(PROMPT)
        person.types("n not today\r")
        person.reads("The note to it: not today")
        person.reads(PROMPT)
        person.types("Then now.\r")
        person.reads("ana wants to call delete (m")
        person.reads(PROMPT)
        person.types("\x04")
        person.reads("It waits, and later messages behind it.")
        person.reads(PROMPT)
        person.types("And now?\r")
        person.reads("of a turn before it waits for a decision.")
        person.reads("ana wants to call delete (m")
        person.reads(PROMPT)
        person.types("a\r")
        person.reads("It says: deleted a")
        person.reads("It says: deleted a")  # of the message that waited, unasked
        person.reads(PROMPT)
        person.types("/approvals\r")
        person.reads("No call waits for a decision.")
        person.reads("Allowed for good: delete")
        person.reads(PROMPT)
        person.types("\x04")
        assert person.leaves() == 0
