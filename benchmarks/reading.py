"""Real documents in a folder: which are read, which are refused and why, their words against another reader.

Each file is read as `pagefault load` reads it, in one child process. The other reader is a program, if it is
installed: `pdftotext` for PDF, `pandoc` for Word, books, HTML and most others; the cells for CSV; Python's
codec for text in a folder whose name begins with a character set, as those of chardet's tests. A file
`NAME.expected.html` or `NAME.expected.txt` beside a file counts instead. Recall is the share of the other
reader's words that ours has, precision the reverse, as multisets; both are means over files.

    python benchmarks/reading.py FOLDER [--kind pdf] [--verbose]
"""

from __future__ import annotations

import argparse
import codecs
import csv
import io
import re
import resource
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from shutil import which

import anyio

from pagefault.config import LoadingSettings
from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.reader import DocumentReader
from pagefault.ingest.report import SilentProgress
from pagefault.ingest.sources import SourceContent

_WORD = re.compile(r"\w+")
_TAG = re.compile(r"(?s)<(script|style)\b.*?</\1>|<!--.*?-->|<[^>]+>")
_PATIENCE = 120  # seconds that another reader may take
_PANDOC = {".docx": "docx", ".epub": "epub", ".html": "html", ".htm": "html", ".odt": "odt", ".rtf": "rtf",
           ".pptx": "pptx", ".xlsx": "xlsx", ".ipynb": "ipynb"}  # fmt: skip


def bounds() -> Bounds:
    limits = LoadingSettings()
    return Bounds(limits.seconds, limits.memory, limits.characters, limits.pages)


def words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def printed(*command: str) -> str:
    """What a program prints; empty if it is not installed, fails, takes too long or guesses characters."""
    if which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if b"falling back to latin1" in done.stderr else done.stdout.decode("utf-8", "replace")


def cells(path: Path) -> str:
    """The cells of a table, each behind the name of its column, as ours are."""
    text = path.read_bytes().decode("utf-8", "replace")
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:20_000])
    except csv.Error:
        dialect = csv.excel
    names, *rows = [*csv.reader(io.StringIO(text, newline=""), dialect)] or [[]]
    pairs = (pair for row in rows for pair in zip_longest(names, row, fillvalue=""))
    return " ".join(f"{name} {cell}" for name, cell in pairs if cell.strip())


def by_folder(path: Path) -> str:
    """A text in the character set that its folder's name begins with; empty if it names none."""
    parts = path.parent.name.split("-")
    for count in range(len(parts), 0, -1):
        try:
            codec = codecs.lookup("-".join(parts[:count])).name
            return path.read_bytes().decode(codec, "replace")
        except (LookupError, ValueError):
            continue
    return ""


def reference(path: Path) -> str:
    """The text that another reader finds; empty if there is none."""
    if (page := path.with_name(f"{path.name}.expected.html")).exists():
        return _TAG.sub(" ", page.read_text("utf-8", "replace"))
    if (text := path.with_name(f"{path.name}.expected.txt")).exists():
        return text.read_text("utf-8", "replace")
    suffix = path.suffix.lower()
    readers: dict[str, Callable[[Path], str]] = {".csv": cells, ".tsv": cells, ".txt": by_folder}
    readers[".pdf"] = lambda path: printed("pdftotext", "-q", str(path), "-")
    if suffix in _PANDOC:
        return printed("pandoc", "-f", _PANDOC[suffix], "-t", "plain", "--wrap=none", str(path))
    return readers[suffix](path) if suffix in readers else ""


@dataclass
class Tally:
    """The outcome for the files of one kind."""

    files: int = 0
    loaded: int = 0
    noted: int = 0
    seconds: float = 0.0
    scores: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    refused: Counter[str] = field(default_factory=Counter[str])

    def line(self, kind: str) -> str:
        count = max(1, len(self.scores))
        recall, precision = (sum(score[side] for score in self.scores) / count for side in (0, 1))
        return (
            f"| {kind} | {self.files} | {self.loaded} | {self.noted} | {len(self.scores)} | {recall:.3f} "
            f"| {precision:.3f} | {self.seconds / max(1, self.files):.2f} |"
        )


async def measure(reader: DocumentReader, path: Path, tally: Tally) -> str:
    """Read a file and add its outcome to the tally; return a line on it."""
    tally.files += 1
    begin = time.perf_counter()
    try:
        found = await reader.read(SourceContent(await anyio.Path(path).read_bytes(), path.name))
    except UsageError as error:
        tally.refused[str(error)] += 1
        return f"{path}: {error}"
    finally:
        tally.seconds += time.perf_counter() - begin
    tally.loaded += 1
    tally.noted += bool(found.notes)
    ours, theirs = words("\n".join(text for text, _ in found.leaves)), words(reference(path))
    if not theirs:
        return f"{path}: no other reader {found.notes}"
    both = (ours & theirs).total()
    score = both / theirs.total(), both / max(1, ours.total())
    tally.scores.append(score)
    return f"{path}: recall {score[0]:.3f}, precision {score[1]:.3f} {found.notes}"


def files(folder: Path, kind: str) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        known = path.is_file() and path.suffix and ".expected" not in path.suffixes
        if known and (not kind or path.suffix.lower() == f".{kind}"):
            yield path


async def measured(folder: Path, kind: str, verbose: bool) -> dict[str, Tally]:
    """The tallies of a folder's files by kind."""
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    reader = DocumentReader(bounds(), SilentProgress().page)
    try:
        for path in files(folder, kind):
            line = await measure(reader, path, tallies[path.suffix.lower().lstrip(".")])
            if verbose:
                print(line, flush=True)
    finally:
        await reader.close()
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", default="", help="only files of this suffix")
    parser.add_argument("--verbose", action="store_true", help="a line for each file")
    given = parser.parse_args()
    tallies = anyio.run(measured, given.folder, given.kind, given.verbose)
    print("| kind | files | loaded | with notes | compared | recall | precision | seconds a file |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, tally in sorted(tallies.items()):
        print(tally.line(kind))
    for kind, tally in sorted(tallies.items()):
        for sentence, count in tally.refused.most_common():
            print(f"{kind}: {count} refused: {sentence}")
    print(f"the largest process: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
