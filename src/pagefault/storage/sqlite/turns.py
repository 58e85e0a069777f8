"""Turn locks: locks of the operating system on files, and the fence behind them.

The end of a process frees its locks at once. But a lock is on a file, and a file can be removed or replaced
while it is locked: then another process takes the turn on the new one. Hence the fence, as on PostgreSQL: who
takes a turn raises the agent's fence number, and a write with an older number is refused (``store``). The
number stands in the lock file too, so whoever takes the same file again with nobody in between keeps it, and
a turn costs no transaction more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from weakref import WeakSet

from pagefault.errors import StorageError
from pagefault.types import AgentId

__all__ = ["TurnFiles"]

_DIGITS = 20


class TurnFiles:
    """The lock files of one database in a folder; ``stem`` begins their names."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder = folder
        self._stem = stem
        self._fences: dict[AgentId, int] = {}  # as last taken here
        self._held: set[int] = set()  # descriptors
        _followed_at_forks().add(self)

    def take(self, agent: AgentId) -> int | None:
        """Try, without waiting, to lock the agent's file: its descriptor, None if another has it."""
        from filelock import lock_descriptor

        # The operating system's own lock on a descriptor of our own: 15 times cheaper than a FileLock,
        # never lets its owner in twice, and closing the descriptor, however it comes about, frees it.
        path = self._folder / f"{self._stem}-{agent}.lock"
        try:
            descriptor = _opened(path)
            self._held.add(descriptor)
            mine = False
            try:
                mine = lock_descriptor(descriptor, blocking=False)
            finally:
                if not mine:
                    self.free(descriptor)
        except OSError as error:
            raise StorageError(
                f"The turn lock {path} cannot be taken ({error.strerror}); make its folder writable."
            ) from error
        return descriptor if mine else None

    def free(self, descriptor: int) -> None:
        """Free a lock; in a forked process, where it is no longer held, do nothing."""
        if descriptor in self._held:
            from filelock import unlock_descriptor

            self._held.discard(descriptor)
            with suppress(OSError):  # a process that was just forked may not have closed its copy yet
                unlock_descriptor(descriptor)
            os.close(descriptor)

    def kept(self, agent: AgentId, descriptor: int) -> int | None:
        """The fence with which the lock was last taken here, None if another has taken it since."""
        written, fence = b"", self._fences.get(agent)
        with suppress(OSError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            written = os.read(descriptor, _DIGITS)
        return fence if written == str(fence).encode() else None

    def keep(self, agent: AgentId, descriptor: int, fence: int) -> None:
        """Write down the fence with which the lock was taken."""
        self._fences[agent] = fence
        with suppress(OSError):  # a full disk: the fence is raised the next time, too
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, str(fence).encode())
            os.ftruncate(descriptor, len(str(fence)))

    def lose(self, agent: AgentId) -> None:
        """Forget the fence of an agent, so that it is raised the next time."""
        self._fences.pop(agent, None)

    def close_in_fork(self) -> None:
        """Close a forked process's copies of what is locked: with them the locks would stay taken after the
        death of their owner."""
        for descriptor in self._held:
            with suppress(OSError):
                os.close(descriptor)
        self._held.clear()


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except FileNotFoundError:  # somebody has removed the folder
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)


@cache
def _followed_at_forks() -> WeakSet[TurnFiles]:
    """All that is open; closed in every process that is forked from this one."""
    followed: WeakSet[TurnFiles] = WeakSet()

    def close() -> None:
        for files in followed:
            files.close_in_fork()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=close)
    return followed
