"""The server as a process of its own, for benchmarks and for trying things out without a key.

    python -m pagefault.testing.providers --port 8080 --echo

It prints its address and answers until it is ended.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable

from pagefault.testing.providers.replies import last_said, spoken
from pagefault.testing.providers.server import ProviderServer
from pagefault.testing.providers.turns import Request, Turn

__all__ = ["main"]


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m pagefault.testing.providers", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--reply", default="ok", help="what every answer says")
    parser.add_argument("--echo", action="store_true", help="say what the user said instead")
    given = parser.parse_args()
    with ProviderServer(_turns(given), port=given.port) as server:
        print(server.root, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


def _turns(given: argparse.Namespace) -> Callable[[Request], Turn]:
    def turn(request: Request) -> Turn:
        return spoken(request, last_said(request) if given.echo else given.reply)

    return turn


if __name__ == "__main__":
    main()
