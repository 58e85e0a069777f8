"""The window of a target: the wanted one, the known one, or what its server reports.

Left out: the table of known windows, and asking a server (``served_window``).
"""

from __future__ import annotations

import anyio

from pagefault.models.directory.known_windows import SAFE_WINDOW, window_of
from pagefault.models.directory.targets import Target

__all__ = ["Windows"]

_WINDOW_IS_FRESH = 60.0  # seconds for which the window that a server reported is not asked for again


class Windows:
    """Finds windows, and keeps for a minute what servers reported."""

    def __init__(self) -> None:
        self._served: dict[str, tuple[float, int | None]] = {}

    def forget(self) -> None:
        """Ask the servers again."""
        self._served.clear()

    async def of(self, target: Target, wanted: int | None) -> tuple[int, str]:
        """Return the window to use, in tokens, and a notice for the person (empty: none)."""
        known = SAFE_WINDOW if target.provider.adapter == "offline" else window_of(target.model)
        # Ollama serves the window that a request asks for; the window of an earlier request is no limit
        served = None if target.provider.adapter == "ollama" else await self.served(target)
        limit = wanted or known
        if served and (limit is None or served < limit):
            smaller = f"{target.name} serves a window of {served:,} tokens, not {limit:,}." if limit else ""
            return served, smaller
        if wanted:
            return wanted, ""
        if known is None or target.provider.adapter == "ollama":
            assumed = min(known or SAFE_WINDOW, SAFE_WINDOW)
            return (
                assumed,
                f"A window of {assumed:,} tokens is assumed for {target.name}; --window N sets it.",
            )
        return known, ""

    async def served(self, target: Target) -> int | None:
        """Return the window that the server reports; None if it reports none."""
        if not target.endpoint.base_url or target.provider.adapter not in ("openai", "ollama"):
            return None
        now = anyio.current_time()
        asked, window = self._served.get(target.name, (-_WINDOW_IS_FRESH, None))
        if now - asked >= _WINDOW_IS_FRESH:
            from pagefault.models.directory.served_window import served_window

            window = await served_window(target.endpoint, target.model)
            self._served[target.name] = (now, window)
        return window
