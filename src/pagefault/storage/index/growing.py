"""An array that grows at its end. Views handed out before stay as they were."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Growing"]

S = TypeVar("S", bound=np.generic)


class Growing(Generic[S]):
    """Shape (length,) or, with a ``width``, (length, width). Appending costs no copy of what is there,
    on average."""

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._buffer: NDArray[S] = np.empty((0,) if width is None else (0, width), dtype)
        self._length = 0

    def extend(self, values: Any) -> None:
        added = len(values)
        if self._length + added > len(self._buffer):
            # By an eighth, so that memory is not doubled; the first filling takes just what it needs.
            capacity = max(self._length + added, self._length + self._length // 8 + 64)
            larger = np.empty((capacity, *self._buffer.shape[1:]), self._buffer.dtype)
            larger[: self._length] = self.view
            self._buffer = larger
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
