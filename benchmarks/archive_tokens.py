"""What attached archives add to a prompt, in tokens of the heuristic counter.

The functions as they are offered to an agent without and with archives attached, with and without documents,
in both styles; the fixed part of a prompt is otherwise the same.

    python benchmarks/archive_tokens.py [--names 5]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.context import fixed_tokens
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel, archives
from pagefault.models.tokens import HeuristicCounter
from pagefault.testing.models import ScriptedModel

NAMES = ("manuals", "faq", "house-rules", "minutes-2026", "letters_of_ana", "recipes", "a", "x" * 64)
COUNTER = HeuristicCounter()


async def fixed(kernel: Kernel, agent: str) -> int:
    """The tokens of an agent's instructions and functions."""
    kernel.forget(agent)
    prompt = (await kernel.process(agent)).prompt()
    return fixed_tokens("", prompt.functions, COUNTER)


async def measured(names: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        kernel = open_kernel(
            Path(home), Parts(model=ScriptedModel([]), embedder=NullEmbedder()), Installation()
        )
        try:
            for name in NAMES[:names]:
                await archives.create(kernel, name)
            for style in ("memgpt", "native"):
                for documents in (False, True):
                    agent = f"{style}-{documents}"
                    settings = {"model": "offline", "window": 16_384, "style": style, "documents": documents}
                    await kernel.create_agent(agent, parse_settings(settings))
                    taken = [await fixed(kernel, agent)]
                    for name in NAMES[:names]:
                        await archives.attach(kernel, name, agent)
                        taken.append(await fixed(kernel, agent))
                    added = [after - before for before, after in pairwise(taken)]
                    had = "with documents" if documents else "without documents"
                    print(f"{style:<8}{had:<20}{taken[0]:>6,} tokens; each archive more adds {added}")
        finally:
            await kernel.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--names", type=int, default=len(NAMES), help=f"attached, of {', '.join(NAMES[:-1])} ..."
    )
    asyncio.run(measured(parser.parse_args().names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
