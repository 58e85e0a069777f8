"""`pagefault chat`: through a pipe, as JSON Lines, on a terminal. Processes of its own talk with the offline
model; where it matters what the model does, a scripted one answers."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from conftest import Machine
from image_files import PNG
from pagefault.cli import main
from pagefault.cli.chat import Conversation, ready
from pagefault.cli.render import plain
from pagefault.cli.screens import JsonLines, Lines, Screen, Terminal
from pagefault.config import AgentSettings
from pagefault.errors import ModelError, UsageError
from pagefault.models import Completion, Notice, Prompt, StreamItem
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.types import Event, Output

START = [sys.executable, "-c", "from pagefault.cli import main; main()"]

# a process of its own, with a pipe


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: list[str]
    err: str


Chat = Callable[..., Ran]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty home, search by words alone, a locale that is not UTF-8."""
    ours = {"PAGEFAULT_HOME": str(tmp_path / "home"), "PAGEFAULT_EMBEDDER": "null"}
    return os.environ | ours | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def chat(environment: dict[str, str]) -> Chat:
    def piped(lines: str, *options: str) -> Ran:
        ran = subprocess.run(
            [*START, "chat", *options],
            input=lines.encode(),
            env=environment,
            capture_output=True,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout.decode().splitlines(), ran.stderr.decode())

    return piped


def test_each_line_is_answered_by_one_line(chat: Chat) -> None:
    ran = chat("\ufeffMy cat is called Nala.\r\n\n   \n我住在上海。\nWhat is my cat called?")
    assert ran.code == 0
    assert len(ran.out) == 3
    assert re.search(r"[\u4e00-\u9fff]", ran.out[1])
    assert "Nala" in ran.out[2]
    assert "\ufffd" not in "".join(ran.out)


def test_what_is_no_reply_goes_to_stderr(chat: Chat) -> None:
    ran = chat("My cat is called Nala.\n")
    assert ran.err.startswith("`offline` is no language model")
    assert ran.err.count("--model openai:") == 1
    assert "→ working_context_append" in ran.err
    assert "→" not in chat("I live in Porto.\n", "--quiet").err


def test_slash_commands_work_in_a_pipe_and_are_no_messages(chat: Chat) -> None:
    ran = chat(
        "My cat is called Nala.\n/memory\n/recall cat | page 1\n/Context\n/dance\n/flush\n/quit\nnot said\n"
    )
    assert len(ran.out) == 1
    assert "human (" in ran.err
    assert "Showing " in ran.err
    assert "<working_context>" in ran.err
    assert "There is no /dance; /help lists what there is." in ran.err
    assert "not said" not in ran.err


def test_files_are_attached_in_a_chat(chat: Chat, tmp_path: Path) -> None:
    photo, note = tmp_path / "my photo.png", tmp_path / "note.txt"
    photo.write_bytes(PNG)
    note.write_text("The code is 4711.")
    ran = chat(
        f"/attach '{photo}' what is this?\n/attach {photo}\n/attach {note} keep it\n/attach\n"
        f"/attach {tmp_path}/gone.png\n/recall image | page 1\n"
    )
    assert ran.code == 0
    assert ran.err.count("[image my photo.png, 3 x 2") >= 2
    assert "Write the path behind it: /attach photo.jpg what is this?" in ran.err
    assert f"{tmp_path}/gone.png cannot be attached: No such file" in ran.err


def test_json_prints_typed_outputs(chat: Chat) -> None:
    outputs = [json.loads(line) for line in chat("My cat is called Nala.\nHello\n", "--json").out]
    keys = ["type", "text", "event", "position", "name", "data"]
    assert all(list(output) == keys for output in outputs)
    for event in (1, 2):
        types = [output["type"] for output in outputs if output["event"] == event]
        assert types[-1] == "done"
        assert {"delta", "called", "said", "returned"} <= set(types)
    quiet = [json.loads(line)["type"] for line in chat("Hello again\n", "--json", "--quiet").out]
    assert "said" in quiet
    assert "delta" not in quiet


def test_what_waits_in_the_inbox_is_served_before_the_first_line(
    chat: Chat, environment: dict[str, str]
) -> None:
    chat("Hello\n")
    subprocess.run(
        [*START, "event", "post", "default", "message", "My dog is called Rex."], env=environment, check=True
    )
    ran = chat("What is my dog called?\n")
    assert len(ran.out) == 1
    assert "Rex" in ran.out[0]
    assert "said meanwhile: " in ran.err


def test_only_the_own_agent_is_recovered_and_others_that_wait_are_named(
    chat: Chat, environment: dict[str, str]
) -> None:
    for name in ("ann", "bob"):
        chat("Hello\n", "--agent", name)
        subprocess.run([*START, "event", "post", name, "message", "Hello?"], env=environment, check=True)
    ran = chat("Hello\n", "--agent", "bob")
    assert "Events of other agents wait: ann; `pagefault run` serves them." in ran.err
    assert "said meanwhile: " in ran.err
    assert "said meanwhile: " in chat("", "--agent", "ann").err


def test_a_message_that_the_model_reads_page_by_page_is_said_to_the_person(chat: Chat) -> None:
    ran = chat("I like tea. " * 2000 + "\nShort.\n")
    assert ran.err.count("The message is long: the model is shown page 1 of about ") == 1


def test_a_message_that_is_too_long_is_refused_and_the_chat_goes_on(chat: Chat) -> None:
    ran = chat("x " * 500_001 + "\nI like tea.\n")
    assert ran.code == 0
    assert len(ran.out) == 2
    assert not ran.out[0]
    assert ran.out[1]
    assert (
        "Not sent: The text has 1,000,002 characters, and a message or event takes 1,000,000; load it"
        in ran.err
    )


def test_a_reader_that_leaves_ends_the_chat_quietly(environment: dict[str, str]) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*START, "chat", "--quiet"], env=environment, text=True, **pipes) as process:  # pyright: ignore[reportUnknownVariableType, reportCallIssue, reportArgumentType]
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate("Hello\nHello\n", timeout=30)
        assert process.returncode == 1
        assert "Traceback" not in str(err)


def test_ctrl_c_in_a_pipe_is_exit_code_130(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*START, "chat"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"Hello\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert b"Traceback" not in process.stderr.read()


# making and changing the agent


def test_a_window_that_is_too_small_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["chat", "--window", "4095", "--home", str(tmp_path)])
    assert (
        exit.value.code == "pagefault: A window of 4,095 tokens is too small; pagefault needs at least 4,096."
    )
    assert capsys.readouterr().out == ""


@pytest.mark.anyio
async def test_options_are_remembered_by_the_agent(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        defaults = AgentSettings(zone="Asia/Shanghai", timers=True)
        made = await ready(rig.kernel, "bo", {"window": 4096}, defaults)
        assert (made.window, made.zone, made.timers) == (4096, "Asia/Shanghai", True)
        changed = await ready(rig.kernel, "bo", {"style": "native"}, AgentSettings())
        assert (changed.window, changed.zone, changed.style) == (4096, "Asia/Shanghai", "native")
        assert await ready(rig.kernel, "bo", {}, AgentSettings()) == changed


@pytest.mark.anyio
async def test_options_that_cannot_work_are_not_remembered(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        before = await ready(rig.kernel, "ana", {}, AgentSettings())
        for wanted in ({"zone": "Mars/Base"}, {"style": "loud"}):
            with pytest.raises(UsageError):
                await ready(rig.kernel, "ana", wanted, AgentSettings())
        assert await ready(rig.kernel, "ana", {}, AgentSettings()) == before


# a conversation, shown on each screen


@asynccontextmanager
async def talking(
    machine: Machine, script: Sequence[Item] | ScriptedModel, screen: Screen, **settings: Any
) -> AsyncGenerator[Conversation]:
    model = script if isinstance(script, ScriptedModel) else ScriptedModel(script)
    async with (
        machine.open(model, **settings) as rig,
        rig.kernel.listen("ana") as outputs,
        anyio.create_task_group() as tasks,
    ):
        conversation = Conversation(rig.kernel, "ana", screen, outputs)
        tasks.start_soon(conversation.listen)
        yield conversation
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_reply_is_one_line_whatever_was_said(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    script = [
        [say("One\n\n  two\u2028three"), say("\x1b[2Jfour")],
        [call("archival_insert", text="x")],
        [say("5")],
    ]
    async with talking(machine, script, Lines()) as conversation:
        for text in ("count", "be silent", "count on"):
            await conversation.say(text)
    assert capsys.readouterr().out == "One two three \\u001b[2Jfour\n\n5\n"


@pytest.mark.anyio
async def test_a_message_that_fails_gets_an_empty_line_and_an_alert(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    async with talking(machine, [ModelError("The model is away."), [say("Back.")]], Lines()) as conversation:
        await conversation.say("Hello?")
        await conversation.say("And now?")
    ran = capsys.readouterr()
    assert ran.out == "\nBack.\n"
    assert "The model is away." in ran.err


class Away(ScriptedModel):
    """Cannot be reached for a number of tries, those of its prompt's last word; from three on for ever."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        tries = int(prompt.messages[-1].text.split()[-1])
        for number in range(tries):
            yield Notice(f"It is away ({number}).", restart=True, unreachable=True)
        if tries >= 3:
            await anyio.sleep_forever()
        async for item in super().stream(prompt):
            yield item


@pytest.mark.anyio
async def test_a_model_that_cannot_be_reached_is_not_waited_for(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Away([[say("One.")], [say("Two.")]])
    async with talking(machine, model, Lines()) as conversation:
        with anyio.fail_after(60):
            for text in ("try 2", "and 2"):
                await conversation.say(text)
            assert not conversation.unreached
            await conversation.say("now 3")
            assert conversation.unreached
    ran = capsys.readouterr()
    assert ran.out == "One.\nTwo.\n\n"
    assert ran.err.count("It is away (2).") == 1
    assert ran.err.count("The model cannot be reached, so the message is not answered; start its server") == 1


@pytest.mark.slow
def test_a_pipe_to_a_port_where_nothing_listens_ends_with_an_error(chat: Chat) -> None:
    with socket.socket() as taken:  # bound, and nothing listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        ran = chat("Hello?\n", "--model", f"{url}#m")
    assert (ran.code, ran.out) == (1, [""])
    assert f"{url} cannot be reached" in ran.err
    assert ran.err.splitlines()[-1] == (
        "pagefault: A message was not answered, because the model could not be reached."
    )


@pytest.mark.anyio
async def test_speech_that_answers_no_line_is_not_a_reply(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    async with talking(machine, [[say("Tea is ready.")], [say("Yes?")]], Lines()) as conversation:
        await conversation.kernel.post("ana", Event("timer", "tea"))
        await conversation.say("Hello")
    ran = capsys.readouterr()
    assert (ran.out, ran.err) == ("Yes?\n", "said meanwhile: Tea is ready.\n")


@pytest.mark.anyio
async def test_a_warning_and_its_turn_are_shown_before_the_next_line(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(prompt: Prompt) -> Completion:
        pressed = "memory_pressure" in prompt.messages[-1].text
        saved = call("archival_insert", text="what matters")
        return Completion(calls=(saved if pressed else say("I see. " * 40),))

    async with talking(machine, ScriptedModel(answer, window=4096), JsonLines()) as conversation:
        for number in range(40):
            await conversation.say(f"Line {number}: " + "the river runs to the sea, " * 5)
            print(json.dumps({"type": "line"}))
    types = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
    said = [kind for kind in types if kind != "delta"]
    warned = said.index("warned")
    assert said[warned - 1 : warned + 5] == ["done", "warned", "called", "returned", "done", "line"]
    assert "flushed" in said[warned:]


def shown(screen: Screen, *outputs: Output) -> None:
    for output in outputs:
        screen.show(output, mine=True)


def delta(text: str, of: str = "said") -> Output:
    return Output("delta", text, 1, 0, data={"attempt": "1.1.1", "of": of})


def test_a_terminal_shows_speech_as_it_comes_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Terminal("ana")
    shown(screen, delta("Hel"))
    assert capsys.readouterr().out == "ana: Hel"
    shown(screen, delta("lo."), Output("called", "{}", 1, 2, "send_message"), Output("said", "Hello.", 1, 3))
    shown(screen, Output("returned", "Sent.", 1, 4, "send_message"), Output("done", "", 1, 4))
    assert capsys.readouterr().out == "lo.\n"
    shown(screen, Output("said", "From elsewhere.", 2, 5))
    assert capsys.readouterr().out == "ana: From elsewhere.\n"


def test_a_terminal_takes_back_what_was_retracted(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Terminal("ana")
    shown(
        screen,
        delta("Hel"),
        Output("retracted", "", 1, 0, data={"again": True}),
        delta("Hi."),
        Output("said", "Hi.", 1, 3),
    )
    assert capsys.readouterr().out == "ana: Hel\n(withdrawn; the model is asked again)\nana: Hi.\n"


def test_a_terminal_shows_thoughts_and_calls_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    turn = (
        delta("Hm, ", "thought"),
        delta("tea.", "thought"),
        Output("thought", "Hm, tea.", 1, 2),
        Output("called", '{"query": "tea"}', 1, 3, "recall_search"),
        Output("returned", "Showing 0 of 0 results (page 1/1)", 1, 4, "recall_search"),
        Output(
            "prefetched", "[m9 user] \x1b[2J", 1, 2, data={"sources": ["m9", "p1\x1b[2J"], "milliseconds": 12}
        ),
        Output("warned", "long text", 2, 5),
        Output("alerted", "The model is away.", 2, 6),
    )
    shown(Terminal("ana"), *turn)
    always = "memory pressure: the agent is warned, so that it can save what matters\nThe model is away.\n"
    inner = 'thinks: Hm, tea.\n→ recall_search {"query": "tea"}\n← Showing 0 of 0 results (page 1/1)\n'
    inner += "remembers: " + plain("m9, p1\x1b[2J") + " (12 ms)\n"
    assert capsys.readouterr().out == inner + always
    shown(Terminal("ana", quiet=True), *turn)
    assert capsys.readouterr().out == always


# a person at a terminal

SLOW = """
import sys
from collections.abc import AsyncIterator
from pathlib import Path
import anyio
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.cli.chat import converse
from pagefault.cli.screens import Terminal
from pagefault.config import parse_settings
from pagefault.errors import NotFoundError
from pagefault.models import Delta
from pagefault.testing.models import ScriptedModel, say

class Slow(ScriptedModel):
    async def stream(self, prompt):
        if "be slow" in prompt.messages[-1].text:
            yield Delta('{"message": "Well, perhaps', call=0, name="send_message")
            print("[thinking]", flush=True)
            await anyio.sleep(60)
        async for item in super().stream(prompt):
            yield item

async def run(home):
    async with open_kernel(home, Parts(model=Slow([]))) as kernel:
        try:
            await kernel.record("ana")
        except NotFoundError:
            await kernel.create_agent("ana", parse_settings({}))
        await converse(kernel, "ana", Terminal("ana"), home / "history")

anyio.run(run, Path(sys.argv[1]))
"""


PROMPT = "[the prompt]"
_READY = "\x1b[?2004h"  # the line editor turns bracketed paste on: it listens
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def _own_terminal() -> None:
    """Make the standard input the controlling terminal of a new session, as a terminal emulator does."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Person:
    """Somebody at a terminal, who reads what is shown and types."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.terminal, there = pty.openpty()
        self.process = subprocess.Popen(
            command, env=environment, stdin=there, stdout=there, stderr=there, preexec_fn=_own_terminal
        )
        os.close(there)
        self.seen = ""

    def reads(self, text: str) -> None:
        """Wait until this is shown; what came before it is forgotten."""
        until = time.monotonic() + 30
        while text not in (shown := _ESCAPE.sub("", self.seen.replace(_READY, PROMPT))):
            assert time.monotonic() < until, f"{text!r} is not in {shown!r}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += os.read(self.terminal, 65536).decode("utf-8", "replace")
        self.seen = shown.partition(text)[2]

    def types(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def leaves(self) -> int:
        """The exit code."""
        return self.process.wait(30)


@pytest.fixture
def person(environment: dict[str, str], tmp_path: Path) -> Iterator[Person]:
    command = [sys.executable, "-X", "utf8", "-W", "error", "-c", SLOW, str(tmp_path / "home")]
    with at_a_terminal(command, environment | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}) as somebody:
        yield somebody


@contextmanager
def at_a_terminal(command: Sequence[str], environment: dict[str, str]) -> Generator[Person]:
    """Somebody who runs a command at a terminal of its own, as its foreground."""
    somebody = Person(command, environment)
    try:
        yield somebody
    finally:
        with suppress(ProcessLookupError):
            os.killpg(somebody.process.pid, signal.SIGKILL)
        somebody.process.wait()
        os.close(somebody.terminal)


def test_a_person_talks_and_leaves(person: Person, tmp_path: Path) -> None:
    person.reads("ana · scripted · window 8,192 · /help\n")
    person.reads(PROMPT)
    person.types("Good morning\r")
    person.reads("ana: ok\n")
    person.reads("· window 8,192\n")
    person.reads(PROMPT)
    person.types("/memory\r")
    person.reads("persona (")
    person.reads(PROMPT)
    person.types("\x04")
    assert person.leaves() == 0
    history = tmp_path / "home" / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "+Good morning" in history.read_text()


@pytest.mark.parametrize("by_signal", [True, False])
def test_ctrl_c_ends_the_turn_and_what_was_read_of_the_reply_stays(person: Person, by_signal: bool) -> None:
    person.reads(PROMPT)
    person.types("be slow\r")
    person.reads("[thinking]")
    person.reads("ana: Well, perhaps")
    if by_signal:
        os.kill(person.process.pid, signal.SIGINT)
    else:
        person.types("\x03")
    person.reads("The turn was cancelled. The reply above ends where it was interrupted.\n")
    person.reads(PROMPT)
    person.types("/recall perhaps\r")
    person.reads("Well, perhaps")
    person.reads(PROMPT)
    person.types("and now?\r")
    person.reads("ana: ok\n")
    person.reads(PROMPT)
    person.types("/quit now\r")
    assert person.leaves() == 0


def test_two_ctrl_c_in_a_row_leave_and_typing_takes_the_first_back(person: Person) -> None:
    asks = "Ctrl-C again, or Ctrl-D, to leave.\n"
    person.reads(PROMPT)
    person.types("\x03")
    person.reads(asks)
    person.reads(PROMPT)
    person.types("x\x7f")
    person.types("\x03")
    person.reads(asks)
    person.reads(PROMPT)
    person.types("\x03")
    assert person.leaves() == 0


def test_lines_typed_during_a_turn_wait_for_the_prompt(person: Person) -> None:
    person.reads(PROMPT)
    person.types("be slow\r")
    person.reads("[thinking]")
    person.types("are you there?\r")
    person.types("\x03")
    person.reads("The turn was cancelled.")
    person.reads("ana: ok\n")


def test_ctrl_c_ends_a_turn_but_not_make_around_the_chat(environment: dict[str, str], tmp_path: Path) -> None:
    if (make := shutil.which("make")) is None:
        pytest.skip("make is not installed")
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "Makefile").write_text(f"chat:\n\t@{sys.executable} slow.py home\n")
    terminal = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "PYTHONUTF8": "1"}
    with at_a_terminal([make, "-C", str(tmp_path), "chat"], environment | terminal) as person:
        person.reads(PROMPT)
        person.types("be slow\r")
        person.reads("[thinking]")
        person.types("\x03")
        person.reads("The turn was cancelled.")
        person.reads(PROMPT)
        person.types("\x04")
        assert person.leaves() == 0
