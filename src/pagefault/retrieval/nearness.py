"""Texts that say nearly the same, by their vectors, made now: those of rows may not be there yet.

Leaves out search (``pagefault.retrieval``).
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from pagefault.embedders import Embedder
from pagefault.errors import PagefaultError
from pagefault.redaction import logger_of
from pagefault.retrieval.service import readers, vectors_of

__all__ = ["near_texts"]

logger = logger_of(__name__)

NEAR = 0.95
"""The cosine from which two texts of the same words say the same."""


async def near_texts(embedder: Embedder, text: str, others: Sequence[str], seconds: float) -> list[bool]:
    """Return for each of other texts whether it says nearly what this one does; for none of them if no
    embedder reads them, or it fails or takes longer."""
    try:
        with anyio.fail_after(seconds):
            for member in readers(embedder, text, may_be_english=True):
                first, *rest = await vectors_of(member, [text, *others], seconds)
                return [bool(first @ vector >= NEAR) for vector in rest]
    except PagefaultError as error:
        logger.warning("facts are compared by their words alone: %s", error)
    except TimeoutError:
        logger.debug("the vectors of facts are late")
    return [False] * len(others)
