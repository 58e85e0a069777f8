"""The documentation, held to the code: its Python blocks and the examples run, what it names (commands,
options, settings, modules, files) exists, and what there is, it names.

A block that must not be run is marked ```` ```python no-run ````. What is measured is not checked here.
"""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

from pagefault.assembly import Parts
from pagefault.cli import main
from pagefault.cli.slash import HELP
from pagefault.cli.tree import app
from pagefault.config import AgentSettings, Installation
from pagefault.types import OutputType

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
EXAMPLES = sorted(ROOT.glob("examples/*.py"))

FENCE = re.compile(r"^```(?P<info>.*)\n(?P<text>(?:.*\n)*?)^```$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")
FILE = re.compile(r"(?:tests|benchmarks|scripts|examples|docs)/[\w./-]+\.\w+")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where its first line stands, what the fence says, its text."""

    page: Path
    line: int
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path, language: str) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        if found["info"].split(" ")[0] == language:
            yield Block(page, text.count("\n", 0, found.start("text")) + 1, found["info"], found["text"])


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


RUN = [block for page in PAGES for block in blocks(page, "python") if "no-run" not in block.info]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAGEFAULT_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("block", RUN, ids=str)
def test_python_blocks_run(block: Block) -> None:
    padded = "\n" * (block.line - 1) + block.text  # so that a traceback shows the page's own line
    code = compile(padded, str(block.page), "exec", dont_inherit=True)
    exec(code, {"__name__": "__main__"})


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.strip()


# the command line


def tree_of(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by its words; groups too, which have ``commands``."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from tree_of(below, (*path, name))


TREE = dict(tree_of())
COMMANDS = [path for path, command in TREE.items() if not hasattr(command, "commands")]


def options(command: Any) -> set[str]:
    return {"--help"}.union(*(p.opts + p.secondary_opts for p in command.params))


def named(page: Path) -> Iterator[list[str]]:
    """The words after each ``pagefault`` in a shell block or a code span."""
    lines = [line for block in blocks(page, "sh") for line in block.text.splitlines()]
    for line in [*lines, *SPAN.findall(prose(page))]:
        if re.search(r"(^|\s)pagefault\s", line) and "COMMAND" not in line:
            words = shlex.split(line, comments=True)
            yield words[words.index("pagefault") + 1 :]


def split(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The command that the words name, and the rest of them."""
    most = next(n for n in range(len(words), -1, -1) if tuple(words[:n]) in TREE)
    return tuple(words[:most]), words[most:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_that_are_named_exist(page: Path) -> None:
    for words in named(page):
        path, rest = split(words)
        assert path in COMMANDS or not rest or rest[0].startswith("--"), f"pagefault {' '.join(words)}"
        given = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert given <= options(TREE[path]), f"pagefault {' '.join(words)}"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_is_documented(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main([*path, "--help"])
    assert exit.value.code in (0, None)
    assert "Usage: pagefault" in capsys.readouterr().out
    assert path in {split(words)[0] for words in named(ROOT / "docs/cli.md")}


def test_every_slash_command_is_documented() -> None:
    text = prose(ROOT / "docs/cli.md")
    assert [line.split("  ")[0] for line in HELP.splitlines() if f"`{line.split('  ')[0]}`" not in text] == []


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        lines = [line for block in blocks(page, "sh") for line in block.text.splitlines()]
        text = "\n".join([*lines, *SPAN.findall(prose(page))])
        assert set(re.findall(r"(?:^|\| )make ([a-z-]+)", text, re.MULTILINE)) <= targets, page.name


# the library


@pytest.mark.parametrize("model", [AgentSettings, Installation])
def test_every_setting_is_documented_with_its_default(model: type[BaseModel]) -> None:
    text = prose(ROOT / "docs/library.md")
    for name, field in model.model_fields.items():
        default = "" if isinstance(field.default, BaseModel) else f"`{field.default!r}` ".replace("'", '"')
        assert f"| `{name}` | {default}|" in text, f"{name}: {default}"


def test_outputs_and_parts_are_documented() -> None:
    rows = [line for line in prose(ROOT / "docs/library.md").splitlines() if line.startswith("| `")]
    first = {name for row in rows for name in SPAN.findall(row.split("|")[1])}
    assert set(get_args(OutputType)) <= first
    assert {part.name for part in fields(Parts)} <= first


# the Chinese pages

TRANSLATED = [
    (ROOT / "README.md", ROOT / "README.zh-CN.md"),
    *((ROOT / "docs" / page.name, page) for page in sorted(ROOT.glob("docs/zh/*.md"))),
]


@pytest.mark.parametrize(("english", "chinese"), TRANSLATED, ids=lambda page: page.name)
def test_a_chinese_page_is_in_step_with_the_english_one(english: Path, chinese: Path) -> None:
    """The same headings by their levels, the same code, rows of tables; comments and texts may differ."""

    def outline(page: Path) -> list[str]:
        return [line.split(" ")[0] for line in prose(page).splitlines() if re.match(r"#+ ", line)]

    def code(page: Path) -> list[tuple[str, str]]:
        spoken = re.compile(r"#.*|\"[^\"\n]*[^\x00-\x7f“”…][^\"\n]*\"|\"[^\"\n]* [^\"\n]*\"")
        return [
            (found["info"], re.sub(r"\s+", " ", spoken.sub("", found["text"])))
            for found in FENCE.finditer(page.read_text("utf-8"))
        ]

    def rows(page: Path) -> int:
        return sum(line.startswith("|") for line in prose(page).splitlines())

    assert outline(chinese) == outline(english)
    assert code(chinese) == code(english)
    assert rows(chinese) == rows(english)


# the house


def test_every_module_has_its_line() -> None:
    text = prose(ROOT / "docs/architecture.md")
    source = ROOT / "src/pagefault"
    modules = [path.name for path in source.glob("*.py") if path.name != "__init__.py"]
    packages = [f"{path.parent.name}/" for path in source.glob("*/__init__.py")]
    assert [name for name in modules + packages if f"`{name}" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_in_modules_exist(page: Path) -> None:
    for module, name in re.findall(r"`(\w+)\.(\w+)(?:\(\))?`", prose(page)):
        source = ROOT / f"src/pagefault/{module}.py"
        if source.exists() and name not in ("py", "toml"):
            defined = rf"^ *(?:(?:async )?def |class ){name}\b|^{name}\b"
            assert re.search(defined, source.read_text("utf-8"), re.MULTILINE), f"{module}.{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for found in LINK.finditer(prose(page)):
        target = page.parent / found["file"] if found["file"] else page
        assert target.exists(), found.group()
        if found["anchor"]:
            headings = re.findall(r"^#+ (.*)$", prose(target), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert found["anchor"] in slugs, found.group()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    assert [name for name in FILE.findall(page.read_text("utf-8")) if not (ROOT / name).exists()] == []
