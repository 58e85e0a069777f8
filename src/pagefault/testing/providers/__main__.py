"""The server as a process of its own, for benchmarks and for experiments without a key.

    python -m pagefault.testing.providers --port 8080 --echo --quirk "server error" --quirk silence --rate 0.3

It prints its address and answers until it is stopped, with one of the named quirks at the given rate.
"""

from __future__ import annotations

import argparse
import random
import threading
from collections.abc import Callable

from pagefault.testing.providers.quirks import QUIRKS
from pagefault.testing.providers.replies import last_said, spoken
from pagefault.testing.providers.server import ProviderServer
from pagefault.testing.providers.turns import ProviderRequest, Turn

__all__ = ["main"]


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m pagefault.testing.providers", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--reply", default="ok", help="the text of every answer")
    parser.add_argument("--echo", action="store_true", help="answer with the user's text instead")
    parser.add_argument("--quirk", action="append", default=[], choices=QUIRKS, metavar="NAME")
    parser.add_argument("--rate", type=float, default=1.0, help="share of answers with a quirk, from 0 to 1")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed, the same quirks in the same order"
    )
    given = parser.parse_args()
    with ProviderServer(_turns(given), port=given.port) as server:
        print(server.root, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


def _turns(given: argparse.Namespace) -> Callable[[ProviderRequest], Turn]:
    chance = random.Random(given.seed)

    def turn(request: ProviderRequest) -> Turn:
        said = spoken(request, last_said(request) if given.echo else given.reply)
        known = [QUIRKS[name] for name in given.quirk if request.shape in QUIRKS[name].shapes]
        shown = bool(known) and chance.random() < given.rate
        return chance.choice(known).make(said, request) if shown else said

    return turn


if __name__ == "__main__":
    main()
