"""Pages: a text browser with commands to search, open, turn the page, quote and answer.

Nakano et al., "WebGPT: Browser-assisted question-answering with human feedback", 2021, arXiv 2112.09332. As
there, every step is a prompt of its own that tells the whole state: the commands so far, the quotes, the
page in view, the commands left. Browsing ends with an answer, when the commands are used up, or when no more
quotes may be kept; an answer that was not given then is asked for with the quotes alone in view (the page, if
there are none).

Simplified: the model is not trained for it; no scrolling, going back or searching within a page; commands are
JSON objects. The first search is made with the question, so that there is a page to begin with. A text of a
conversation opens its session where that text stands. A reply that is no command is the answer; if it is a
refusal, it turns the page as long as there is a next one. At most ten commands and four quotes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pagefault.bench import prompts
from pagefault.bench.pools import Search
from pagefault.bench.prompts import Brief
from pagefault.bench.scoring import is_refusal
from pagefault.bench.strategies import Bench
from pagefault.bench.strategies.evidence import InView
from pagefault.bench.strategies.fixed import line_of
from pagefault.bench.tasks import Item, StrategyReply, Text
from pagefault.context import paging
from pagefault.errors import FunctionError
from pagefault.functions.arguments import parse_arguments
from pagefault.models import Prompt
from pagefault.models.tokens import Counter
from pagefault.retrieval.excerpt import excerpt

__all__ = ["Pages"]

_COMMANDS = ("search", "open", "next", "quote", "answer")
_SCHEMA = {
    "type": "object",
    "properties": {"command": {"type": "string", "enum": list(_COMMANDS)}, "text": {"type": "string"}},
    "required": ["command", "text"],
    "additionalProperties": False,
}
_MOST_COMMANDS = 10
_MOST_QUOTES = 4
_FOUND = 30  # texts that a search lists
_EXCERPT = 48  # tokens of each
_LONGEST_ECHO = 60  # characters of a command as the state repeats it


class Pages:
    """A browser of texts."""

    name = "pages"

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        async with bench.pools.searching(item) as pool:
            room = bench.room(replace(item, brief=_brief(item, _MOST_COMMANDS)), "")
            browser = _Browser(item, pool, bench.counter, room)
            await browser.search(item.question)
            for left in range(_MOST_COMMANDS, 0, -1):
                if len(browser.quotes) == _MOST_QUOTES:
                    break
                completion = await bench.ask(browser.prompt(left, bench.reserve))
                command, text = _read(completion.text)
                if not command and is_refusal(text) and browser.has_next:
                    command = "next"
                if command in ("", "answer"):
                    if text:
                        return browser.view.reply(text)
                    break
                await browser.run(command, text)
        heading, context = prompts.headings[item.form], browser.kept()
        prompt = prompts.one_prompt(item.brief, heading, context, item.question, bench.reserve)
        return browser.view.reply((await bench.ask(prompt)).text)


def _brief(item: Item, left: int) -> Brief:
    return replace(item.brief, reader=f"{item.brief.reader}\n\n{prompts.PAGES.format(left=left)}")


def _read(reply: str) -> tuple[str, str]:
    """Command and text of a reply; no command if it has none, and then the text is all of it."""
    start = reply.find("{")
    if start >= 0:
        try:
            values = parse_arguments("the command", reply[start:].strip().removesuffix("```"))
        except FunctionError:
            values = {}
        if command := str(values.get("command") or "").strip().lower():
            return command, str(values.get("text") or "").strip()
    return "", reply.strip()


@dataclass(slots=True)
class _Browser:
    """The state of the browser: what is in view, what was done. ``room``: tokens that all of it may take."""

    item: Item
    pool: Search
    counter: Counter
    room: int
    quotes: list[Text] = field(default_factory=list[Text])
    view: InView = field(init=False)
    _done: list[str] = field(default_factory=list[str])
    _title: str = ""
    _pages: list[list[Text]] = field(default_factory=list[list[Text]])
    _at: int = 0

    def __post_init__(self) -> None:
        self.view = InView(self.item, self.counter)

    @property
    def has_next(self) -> bool:
        return self._at + 1 < len(self._pages)

    def prompt(self, left: int, max_tokens: int) -> Prompt:
        """The state, as the next command is asked for."""
        state: list[str] = []
        if self._done:
            state += [prompts.PAGES_DONE, *self._done, ""]
        if self.quotes:
            state += [prompts.PAGES_QUOTES, *map(self._line, self.quotes), ""]
        heading = "\n".join((*state, f"{self._title}, page {self._at + 1} of {max(1, len(self._pages))}:"))
        shown = "\n".join(map(self._line, self._page()))
        brief = _brief(self.item, left)
        prompt = prompts.one_prompt(brief, heading, shown, self.item.question, max_tokens)
        return replace(prompt, answer_schema=_SCHEMA)

    def kept(self) -> str:
        """The quotes, or the page in view if there are none, as the context of an answer."""
        return "\n".join(map(self._line, self.quotes or self._page()))

    async def run(self, command: str, text: str) -> None:
        """Do what a command says; what is wrong with it is reported in the state."""
        fault = ""
        if command == "search":
            await self.search(text)
        elif command == "open":
            fault = self._open(text)
        elif command == "next":
            self._at += self.has_next
            fault = "" if self._at else "there is no next page"
        elif command == "quote":
            fault = self._quote(text)
        else:
            fault = f"there is no such command; choose from {', '.join(_COMMANDS)}"
        line = f"{command} {' '.join(text.split())[:_LONGEST_ECHO]}".strip()
        self._done.append(f"- {line} ({fault})" if fault else f"- {line}")

    async def search(self, query: str) -> None:
        found = await self.pool.search(query, _FOUND)
        cut = [replace(one, text=excerpt(one.text, query, _EXCERPT, self.counter)) for one in found]
        self._show(f"Results for {' '.join(query.split())[:_LONGEST_ECHO]!r}", cut)

    def _open(self, number: str) -> str:
        wanted = number.strip("[]# ")
        id = self.view.reply("").named.get(wanted)
        if id is None:
            return "no text has that number; give the number of a text that was in view"
        text = next(text for text in self.item.texts if text.id == id)
        together = [text]
        if self.item.form == "conversation":
            together = [other for other in self.item.texts if other.session == text.session]
        self._show(f"Text {wanted}", together)
        self._at = next(n for n, page in enumerate(self._pages) if any(part.id == id for part in page))
        return ""

    def _quote(self, words: str) -> str:
        wanted = " ".join(words.split())
        source = next((text for text in self._page() if wanted in " ".join(text.text.split())), None)
        if not wanted or source is None:
            return "the page in view has no such words; quote them exactly as they stand"
        share = self.room // (4 * _MOST_QUOTES)
        self.quotes.append(replace(source, text=paging.split(wanted, share, self.counter)[0].strip()))
        return ""

    def _show(self, title: str, texts: Sequence[Text]) -> None:
        self._title, self._at = title, 0
        self._pages = list(self._packed(texts, self.room // 2))

    def _packed(self, texts: Sequence[Text], size: int) -> Iterator[list[Text]]:
        """Pages of at most ``size`` tokens; a text that is longer than a page goes on at the next."""
        page: list[Text] = []
        left = size
        for text in texts:
            frame = self.counter.count(line_of(self.item, replace(text, text=""), 999)) + 4
            for piece in paging.split(text.text, max(1, size - frame), self.counter):
                taken = frame + self.counter.count(piece)
                if page and taken > left:
                    yield page
                    page, left = [], size
                page.append(replace(text, text=piece.strip()))
                left -= taken
        if page:
            yield page

    def _page(self) -> list[Text]:
        return self._pages[self._at] if self._pages else []

    def _line(self, text: Text) -> str:
        """A text with its number, also a turn's: it is opened by it."""
        number = self.view.number(text)
        line = line_of(self.item, text, number)
        return line.replace("] ", f" #{number}] ", 1) if self.item.form == "conversation" else line
