"""The screens of a conversation: streaming on a terminal, one reply a line in a pipe, or JSON Lines."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from pagefault.cli.render import as_json, fold, output_line, plain
from pagefault.types import Output

_INNER = ("thought", "called", "returned", "prefetched", "progress")
"""The outputs that ``--quiet`` hides, deltas of thoughts included."""


class Screen(Protocol):
    """Where outputs of the agent go, and what else is to be said. ``mine``: the output belongs to the
    turn of a message that was typed (or piped) here."""

    def show(self, output: Output, mine: bool) -> None: ...

    def notice(self, text: str, style: str = "dim") -> None:
        """A line about what happens: never part of a reply."""
        ...


def console(*, stderr: bool = False) -> Console:
    """Plain text on a stream: what an agent says is never read as markup, and never wrapped in a pipe."""
    return _Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


class _Console(Console):
    """A console whose own codes are the only ones: those in a text are written out."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def _is_speech(output: Output) -> bool:
    """Return true for the call by which the agent speaks: its text is shown, so the call is not."""
    return output.name == "send_message" and not output.data.get("failed")


def _style(output: Output) -> str:
    failed = output.type == "alerted" or output.data.get("failed")
    return "yellow" if failed else "dim"


@dataclass(slots=True)
class Lines:
    """For pipes: a reply is one line on stdout, all else goes to stderr."""

    quiet: bool = False
    _said: list[str] = field(default_factory=list[str])
    _errors: Console = field(default_factory=lambda: console(stderr=True))

    def show(self, output: Output, mine: bool) -> None:
        match output.type:
            case "delta" | "retracted":
                pass
            case "called" | "returned" if _is_speech(output):
                pass
            case "said" if mine:
                self._said.append(fold(output.text))
            case "said":
                self.notice(f"said meanwhile: {fold(output.text)}", "")
            case "done":
                if mine:
                    print(" ".join(self._said), flush=True)
                    self._said.clear()
            case _ if not (self.quiet and output.type in _INNER):
                self.notice(output_line(output), _style(output))
            case _:
                pass

    def notice(self, text: str, style: str = "dim") -> None:
        self._errors.print(Text(plain(text), style))


@dataclass(slots=True)
class JsonLines:
    """Each output as one line of JSON on stdout."""

    quiet: bool = False
    _errors: Console = field(default_factory=lambda: console(stderr=True))

    def show(self, output: Output, mine: bool) -> None:  # noqa: ARG002
        if not (self.quiet and output.type in ("delta", "retracted", "thought", "progress")):
            print(as_json(output), flush=True)

    def notice(self, text: str, style: str = "dim") -> None:
        self._errors.print(Text(plain(text), style))


@dataclass(slots=True)
class Terminal:
    """For a person: speech streams as it comes; thoughts, calls and notices are dim."""

    name: str
    quiet: bool = False
    _open: str = ""  # what the unfinished line is: said, thought, or nothing
    _streamed: str = ""  # speech shown ahead of its row
    _out: Console = field(default_factory=console)

    def show(self, output: Output, mine: bool) -> None:  # noqa: ARG002
        match output.type:
            case "delta":
                self._stream(str(output.data.get("of")), output.text)
            case "said":
                self._said(output.text)
            case "done":
                self._close()
                self._streamed = ""
            case "retracted":
                self._streamed = ""
                self.notice(output_line(output))
            case "called" | "returned" if _is_speech(output):
                pass
            case "thought" if self._open:  # it has been streamed
                self._close()
            case _ if not (self.quiet and output.type in _INNER):
                self.notice(output_line(output), _style(output))
            case _:
                pass

    def notice(self, text: str, style: str = "dim") -> None:
        self._close()
        self._out.print(Text(plain(text), style))

    def _stream(self, of: str, text: str) -> None:
        if of != "said" and self.quiet:
            return
        if of != self._open:
            self._close()
            self._open = of
            prefix = Text(f"{self.name}: ", "bold") if of == "said" else Text("thinks: ", "dim")
            self._out.print(prefix, end="")
        self._out.print(Text(plain(text), "dim" if of != "said" else ""), end="")
        self._out.file.flush()
        if of == "said":
            self._streamed += text

    def _said(self, text: str) -> None:
        """The committed speech: nothing is left to show of what has been streamed whole."""
        streamed = self._streamed.lstrip()
        if streamed.startswith(text.strip()):
            self._streamed = streamed[len(text.strip()) :]
        else:
            self._close()
            self._out.print(Text(f"{self.name}: ", "bold") + Text(plain(text), ""))
        if not self._streamed.strip():
            self._close()

    def _close(self) -> None:
        if self._open:
            self._open = ""
            self._out.print()


def screen_for(name: str, *, as_json: bool, quiet: bool) -> Screen:
    """The screen that fits this process's streams."""
    if as_json:
        return JsonLines(quiet)
    if sys.stdin.isatty() and sys.stdout.isatty():
        return Terminal(name, quiet)
    return Lines(quiet)
