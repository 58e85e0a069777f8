"""Unit length, and work in a thread, for the adapters. Apart, so that the protocol needs no numpy.

A library that runs in a daemon thread when the interpreter ends takes the process down with it: its C++ code
does not survive how Python ends such a thread. So the process waits for the hops under way, and begins none.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, partial

import anyio.to_thread
import numpy as np

from pagefault.embedders import Vectors
from pagefault.errors import EmbedderError

__all__ = ["in_hops", "unit"]

_LONGEST_WAIT = 10.0  # seconds for hops at the end of the process

_under_way: set[tuple[int, int]] = set()  # process and thread: a fork inherits others' entries
_ending = threading.Event()


def unit(vectors: Vectors) -> Vectors:
    """Rows of unit length, same shape. One without a direction, all zeros, is given the first axis."""
    exact = vectors.astype(np.float64)  # squares of what float32 holds overflow it
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    exact[lengths[:, 0] == 0, 0] = 1.0
    return (exact / np.where(lengths == 0, 1.0, lengths)).astype(np.float32)


async def in_hops(
    embed: Callable[[Sequence[str]], Vectors], texts: Sequence[str], hop: int, dimensions: int
) -> Vectors:
    """The vectors that ``embed`` makes, ``hop`` texts at a time in a thread: a cancelled task waits for
    these. Shape (len(texts), dimensions)."""
    _register()
    few = [texts[start : start + hop] for start in range(0, len(texts), hop)]
    vectors = [await anyio.to_thread.run_sync(partial(_run_hop, embed), each) for each in few]
    return np.concatenate(vectors) if vectors else np.empty((0, dimensions), np.float32)


def _run_hop(embed: Callable[[Sequence[str]], Vectors], texts: Sequence[str]) -> Vectors:
    here = os.getpid(), threading.get_ident()
    _under_way.add(here)  # before it looks, so that the end of the process sees it or is seen
    try:
        if _ending.is_set():
            raise EmbedderError("The process is ending; embed the text in the next one.")
        return embed(texts)
    finally:
        _under_way.discard(here)


@cache
def _register() -> None:
    atexit.register(_wait_for_hops)


def _wait_for_hops() -> None:
    _ending.set()
    end, process = time.monotonic() + _LONGEST_WAIT, os.getpid()
    while process in {of for of, _ in tuple(_under_way)} and time.monotonic() < end:
        time.sleep(0.01)
