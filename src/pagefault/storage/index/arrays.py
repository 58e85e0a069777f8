"""An array that is appended to. Views handed out before stay as they were."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["AppendArray"]

S = TypeVar("S", bound=np.generic)


class AppendArray(Generic[S]):
    """Shape (length,) or, with a ``width``, (length, width). Appending costs no copy of what is there,
    on average, and none at all up to the reserved ``capacity``."""

    def __init__(self, dtype: DTypeLike, width: int | None = None, capacity: int = 0) -> None:
        self._buffer: NDArray[S] = np.empty((capacity,) if width is None else (capacity, width), dtype)
        self._length = 0

    def reserve(self, length: int) -> None:
        """Make room for so many values in all, in one step."""
        if length > len(self._buffer):
            larger = np.empty((length, *self._buffer.shape[1:]), self._buffer.dtype)
            larger[: self._length] = self.view
            self._buffer = larger

    def extend(self, values: Any) -> None:
        added = len(values)
        if self._length + added > len(self._buffer):
            # By an eighth, so that memory is not doubled; the first values take just what they need.
            self.reserve(max(self._length + added, self._length + self._length // 8 + 64))
        self._buffer[self._length : self._length + added] = values
        self._length += added

    def put(self, indices: NDArray[np.int64], value: Any) -> None:
        """Change what is there, in a copy."""
        self._buffer = self._buffer.copy()
        self._buffer[indices] = value

    @property
    def view(self) -> NDArray[S]:
        return self._buffer[: self._length]

    @property
    def nbytes(self) -> int:
        return self._buffer.nbytes

    def __len__(self) -> int:
        return self._length
