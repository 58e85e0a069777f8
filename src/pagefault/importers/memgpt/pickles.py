"""Pickles of MemGPT, read without building anything: every class in them is a stand-in that only holds
values.

A pickle names the code that is to run when it is read. Here each name is the same stand-in, whatever it
names, so nothing is imported and nothing runs. The reader in Python is used, because the one in C reserves as
much memory as a pickle says. Left out: what the values mean (``folders``).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any, cast

from pagefault.errors import UsageError

__all__ = ["StandIn", "fields_of", "read_pickle"]

_LARGEST = 256 << 20  # bytes
_FAULTS = (
    pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError, MemoryError,
    RecursionError, TypeError, ValueError, AssertionError, NotImplementedError,
)  # fmt: skip  # of a damaged pickle, which may be any bytes


class StandIn:
    """An object of any class of a pickle: the fields that it was stored with, and no behaviour."""

    __slots__ = ("fields",)

    def __new__(cls, *_: object, **__: object) -> StandIn:
        made = super().__new__(cls)
        made.fields = {}
        return made

    fields: dict[object, object]

    def __init__(self, *_: object, **__: object) -> None:
        """Take any arguments and keep none: those of a client of OpenAI have its key."""

    def __call__(self, *_: object, **__: object) -> StandIn:
        return StandIn()

    def __setstate__(self, state: object) -> None:
        for part in cast("tuple[object, ...]", state) if isinstance(state, tuple) else (state,):
            self.fields.update(fields_of(part))
        inner = self.fields.get("__dict__")  # as pydantic stores it
        self.fields.update(fields_of(inner))

    def __setitem__(self, name: object, value: object) -> None:
        self.fields[name] = value

    def append(self, _: object) -> None: ...
    def extend(self, _: object) -> None: ...
    def add(self, _: object) -> None: ...
    def update(self, _: object) -> None: ...


def fields_of(value: object) -> Mapping[object, object]:
    """The fields of a dict or a stand-in; none of anything else."""
    if isinstance(value, StandIn):
        return value.fields
    return cast("Mapping[object, object]", value) if isinstance(value, dict) else {}


class _Reader(pickle._Unpickler):  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedBaseClass]
    """Finds the stand-in for every name."""

    def find_class(self, module: str, name: str) -> Any:
        del module, name
        return StandIn

    def get_extension(self, code: int) -> None:
        del code
        self.append(StandIn)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]

    def persistent_load(self, pid: object) -> StandIn:
        del pid
        return StandIn()


def read_pickle(data: bytes, place: str) -> object:
    """The value of a pickle, with stand-ins for objects; ``UsageError`` if it cannot be read."""
    if len(data) > _LARGEST:
        raise UsageError(f"{place} is larger than {_LARGEST >> 20} MB, as no pickle of MemGPT is.")
    try:
        return cast("object", _Reader(io.BytesIO(data)).load())  # pyright: ignore[reportUnknownMemberType]
    except _FAULTS as error:
        raise UsageError(f"{place} is no pickle that can be read ({type(error).__name__}).") from None
