"""One run of a command: which home, JSON or text, and a kernel that is opened and closed around it.

The kernel is not entered: a command that looks or posts serves nobody. ``chat`` and ``run`` enter theirs.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pagefault.cli.render import as_json, plain
from pagefault.config import Installation, home_folder, load_installation
from pagefault.errors import DamageError, PagefaultError, StorageError

if TYPE_CHECKING:
    from pagefault.kernel import Kernel
    from pagefault.observing import Observer

_STUMBLES = (
    ArithmeticError, AssertionError, AttributeError, ExceptionGroup, LookupError, MemoryError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip
"""The exceptions that code raises on a value that it cannot take."""


def first_of(error: Exception) -> Exception:
    """Return the first exception of a group, or of a group in it; any other as it is."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


@dataclass(frozen=True, slots=True)
class Session:
    """Where the data is and how to answer. ``home``, ``database`` and ``tenant`` are as given with the
    options, if so."""

    home: Path | None
    database: str | None
    json: bool
    tenant: str | None = None

    @property
    def folder(self) -> Path:
        return home_folder(self.home)

    @property
    def installation(self) -> Installation:
        return load_installation(self.folder, self.database)

    @property
    def chosen_tenant(self) -> str | None:
        """The tenant that was given with the option or the environment, None if none was."""
        return (os.environ.get("PAGEFAULT_TENANT") or None) if self.tenant is None else self.tenant

    def run(self, work: Callable[[Kernel], Awaitable[None]]) -> None:
        """Do a command's work with a kernel over the home."""
        import anyio

        from pagefault.build import open_kernel

        async def opened() -> None:
            kernel = open_kernel(self.folder, installation=self.installation)
            try:
                await work(self._within(kernel))
            finally:
                await kernel.close()

        with self.naming_damage():
            anyio.run(opened)

    def _within(self, kernel: Kernel) -> Kernel:
        """The kernel for the tenant, with the person at the terminal as the one who acts; looked up nowhere,
        for that may ask a server."""
        user = os.environ.get("LOGNAME") or os.environ.get("USER") or str(os.getuid())
        return kernel.within(self.chosen_tenant or "", f"user {user}")

    @contextmanager
    def naming_damage(self) -> Generator[None]:
        """Around a command's work: if it fails on something unforeseen and the database has a damaged value,
        ``DamageError`` says which."""
        try:
            yield
        except _STUMBLES as error:
            cause = first_of(cast(Exception, error))
            name, is_ours = type(cause).__name__, isinstance(cause, PagefaultError)
            if isinstance(cause, _STUMBLES) and not is_ours and (damage := self._damage()):
                raise DamageError(f"{name}; the database is damaged: {damage}") from error
            raise

    def _damage(self) -> str:
        from pagefault.cli.database import damage_in

        return damage_in(self)

    @asynccontextmanager
    async def serving(
        self, installation: Installation, observers: tuple[Observer, ...] = ()
    ) -> AsyncGenerator[Kernel]:
        """A kernel that serves agents; ``StorageError`` before it begins if nothing can be written."""
        from pagefault.assembly import Parts
        from pagefault.build import open_kernel
        from pagefault.kernel.edits import check_writable

        kernel = open_kernel(self.folder, Parts(observers=observers), installation)
        try:
            await check_writable(kernel)
        except StorageError:
            await kernel.close()
            raise
        async with kernel:
            yield self._within(kernel)

    def show(self, data: Any, text: str) -> None:
        """Answer on stdout: ``data``, a view or JSON values, with ``--json``, else ``text``."""
        print(as_json(data, indent=2) if self.json else plain(text), flush=True)
