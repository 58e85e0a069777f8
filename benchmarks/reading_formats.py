"""Reading documents of a folder: what is loaded, what is refused and why, text against another reader, cost.

    python benchmarks/reading_formats.py FOLDER [--against pandoc,soffice] [--most 200] [--compared 40]

The folder is searched with its subfolders; files are grouped by suffix. Each is read as ``pagefault load``
reads it: by the child process, within the default limits. Recall is the share of the other reader's words
(letters, digits, with how often they stand there) that are found; precision the share of ours that the other
has. The other reader is pandoc or LibreOffice, whichever reads the kind and is installed; files of which it
finds fewer than ten words, or that it cannot read, are not compared; of tables each word counts once. Seconds
are wall time, memory is the largest that the child held. Fetch the files first; none is kept.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from statistics import mean, median
from time import monotonic

import anyio

from pagefault.config import LoadingSettings
from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.loading import SilentProgress
from pagefault.ingest.reader import DocumentReader
from pagefault.ingest.reading import ReadingOptions
from pagefault.ingest.sources import SourceContent

_PANDOC = {
    ".docx": "docx", ".odt": "odt", ".epub": "epub", ".rtf": "rtf", ".ipynb": "ipynb", ".html": "html",
}  # fmt: skip
_SOFFICE = {
    ".pptx": "pdf", ".ppsx": "pdf", ".pptm": "pdf", ".odp": "pdf", ".rtf": "txt:Text (encoded):UTF8",
    ".odt": "txt:Text (encoded):UTF8", ".fodt": "txt:Text (encoded):UTF8", ".docx": "txt:Text (encoded):UTF8",
    ".xlsx": "html", ".xlsm": "html", ".xlsb": "html", ".xls": "html", ".ods": "html",
}  # fmt: skip
_TABLES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".csv")  # we repeat the names of columns
_WORD = re.compile(r"[^\W_]+")
_LEAST = 10  # words of the other reader
_SECONDS = 150


@dataclass(slots=True)
class Kind:
    """The outcome for the files of one suffix."""

    files: int = 0
    loaded: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    recalls: list[float] = field(default_factory=list[float])
    precisions: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])
    memory: int = 0
    worst: list[tuple[float, float, str]] = field(default_factory=list[tuple[float, float, str]])


def words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def other_texts(paths: Sequence[Path], suffix: str, readers: Sequence[str]) -> dict[Path, str]:
    """The texts that another reader finds; files that it does not read are left out."""
    if "pandoc" in readers and suffix in _PANDOC:
        command = ["pandoc", "-f", _PANDOC[suffix], "-t", "plain", "--wrap=none"]
        found = {path: _output([*command, str(path)]) for path in paths}
        return {path: text for path, text in found.items() if text is not None}
    if "soffice" in readers and suffix in _SOFFICE:
        return _by_soffice(paths, _SOFFICE[suffix])
    return {}


def _output(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def _by_soffice(paths: Sequence[Path], form: str) -> dict[Path, str]:
    """All files in one run, since its start takes longer than a file."""
    with tempfile.TemporaryDirectory() as folder:
        home = f"-env:UserInstallation=file://{folder}/home"
        _output(
            [
                "soffice",
                home,
                "--headless",
                "--convert-to",
                form,
                "--outdir",
                f"{folder}/made",
                *map(str, paths),
            ]
        )
        made = {each.stem: each for each in Path(folder, "made").glob("*")}
        return {path: _made_text(made[path.stem]) for path in paths if path.stem in made}


def _made_text(made: Path) -> str:
    if made.suffix == ".pdf":
        import pypdfium2

        document = pypdfium2.PdfDocument(made)
        return "\n".join(str(page.get_textpage().get_text_range()) for page in document)
    text = made.read_text("utf-8", "replace")
    if made.suffix != ".html":
        return text
    return unescape(re.sub(r"(?s)<(style|title|head)\b.*?</\1>|<[^>]*>", " ", text))


def child_memory() -> int:
    """The largest memory that the child process has held, in MB; 0 if the system does not say."""
    most = 0
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            with suppress(OSError):
                found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                most = max(most, int(found[1]) >> 10 if found else 0)
    return most


async def read_kind(paths: Sequence[Path]) -> tuple[Kind, dict[Path, str]]:
    """Read the files of one kind in one child process, a new one if it ended."""
    defaults = LoadingSettings()
    bounds = Bounds(defaults.seconds, defaults.memory, defaults.characters, defaults.pages)
    reader, kind, texts = (
        DocumentReader(bounds, SilentProgress().page, ReadingOptions()),
        Kind(),
        dict[Path, str](),
    )
    try:
        for path in paths:
            start = monotonic()
            kind.files += 1
            try:
                found = await reader.read(SourceContent(path.read_bytes(), path.name))
            except UsageError as error:
                kind.refused[str(error)] += 1
                continue
            kind.seconds.append(monotonic() - start)
            kind.memory = max(kind.memory, child_memory())
            texts[path] = "\n".join(text for text, _ in found.leaves)
            kind.loaded += 1
    finally:
        await reader.close()
    return kind, texts


def compare(kind: Kind, suffix: str, texts: dict[Path, str], others: dict[Path, str]) -> None:
    for path, other in others.items():
        theirs, ours = words(other), words(texts[path])
        if suffix in _TABLES:
            theirs, ours = Counter(set(theirs)), Counter(set(ours))
        if theirs.total() < _LEAST or not ours:
            continue
        shared = (theirs & ours).total()
        recall, precision = shared / theirs.total(), shared / ours.total()
        kind.recalls.append(recall)
        kind.precisions.append(precision)
        kind.worst.append((recall, precision, path.name))


def line(suffix: str, kind: Kind) -> str:
    spread = "| |"
    if kind.recalls:
        means = [f"{median(each):.3f} ({mean(each):.3f})" for each in (kind.recalls, kind.precisions)]
        spread = f"{' | '.join(means)} | {len(kind.recalls)}"
    cost = f"{median(kind.seconds):.3f} | {max(kind.seconds):.1f}" if kind.seconds else "| "
    return f"| {suffix} | {kind.files} | {kind.loaded} | {spread} | {cost} | {kind.memory} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", default="pandoc,soffice", help="other readers, by name")
    parser.add_argument("--most", type=int, default=200, help="files of a suffix that are read")
    parser.add_argument("--compared", type=int, default=40, help="files of a suffix that are compared")
    parser.add_argument("--worst", type=int, default=0, help="files to name where least was found")
    asked = parser.parse_args()
    readers = [each for each in asked.against.split(",") if shutil.which(each)]
    groups: dict[str, list[Path]] = {}
    for path in sorted(asked.folder.rglob("*")):
        if path.is_file():
            groups.setdefault(path.suffix.lower(), []).append(path)
    print(
        "| suffix | files | loaded | recall: median (mean) | precision | compared | s: median | most | MB |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    refused: list[str] = []
    for suffix, paths in groups.items():
        kind, texts = anyio.run(read_kind, paths[: asked.most])
        compare(kind, suffix, texts, other_texts(list(texts)[: asked.compared], suffix, readers))
        print(line(suffix, kind), flush=True)
        refused += [f"{suffix}: {count} x {why}" for why, count in kind.refused.most_common()]
        for each in sorted(kind.worst)[: asked.worst]:
            print(each, file=sys.stderr)
    print("\n" + "\n".join(refused))


if __name__ == "__main__":
    main()
