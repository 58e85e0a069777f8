"""Files of records as the published sets have them: JSON Lines, or one JSON list, gzipped or not.

An error names file, line (or number in the list) and field. Leaves out what a record means: each
task says by a pydantic model what it needs of one.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from pagefault.bench.tasks import Options
from pagefault.errors import UsageError

__all__ = ["Record", "matching", "read", "records"]


class Record(BaseModel):
    """The fields that are needed of a record; others are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_R = TypeVar("_R", bound=BaseModel)


def read(data: Path, patterns: Sequence[str], what: str, shape: type[_R], options: Options) -> list[_R]:
    """The records of ``data`` if it is a file, else of the files in that folder whose names match;
    ``UsageError`` if there are none."""
    paths = [data] if data.is_file() else matching(data, patterns)
    found = [record for path in paths for record in records(path, shape, options)]
    if not found:
        raise UsageError(f"{data} holds no {what} ({' or '.join(patterns)}); give another --data.")
    return found


def matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files in a folder whose names match one of the patterns, in order of name."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def records(path: Path, shape: type[_R], options: Options) -> list[_R]:
    """The records of a file; a wrong one is a ``UsageError``, or left out if the options say so."""
    found: list[_R] = []
    for place, value in _values(path, options):
        try:
            found.append(shape.model_validate(value))
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"]) or "record"
            _wrong(f"{place}: {where}: {fault['msg'][:1].lower()}{fault['msg'][1:]}", options)
    return found


def _wrong(what: str, options: Options) -> None:
    if not options.lenient:
        raise UsageError(f"{what}; fix it, or leave such records out with --lenient.")
    options.left_out.append(what)


def _values(path: Path, options: Options) -> Iterator[tuple[str, Any]]:
    text = _text(path)
    if path.name.removesuffix(".gz").endswith(".json"):
        try:
            whole: object = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{path} is not JSON ({error}); fix that file.") from None
        listed = cast("list[Any]", whole) if isinstance(whole, list) else [whole]
        yield from ((f"{path}, record {number}", value) for number, value in enumerate(listed, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as error:
                _wrong(f"{path}, line {number}: not JSON ({error})", options)
            else:
                yield f"{path}, line {number}", value


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError):
        raise UsageError(f"{path} is not UTF-8 text, gzipped if it ends in .gz; fix that file.") from None
