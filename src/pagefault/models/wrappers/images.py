"""Images to models that see, and the text alone to those that do not, for any model.

A server that refuses images does not end a turn: it goes on without them, the person is told, and it is
remembered. One image that is refused does not end an agent: it is not sent again. Left out: which models are
known to see (``directory.sight``), and the forms of images in requests.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from pagefault.errors import BodyTooLarge, ImagesUnsupported, RequestRefused
from pagefault.media import NOT_SHOWN
from pagefault.models import Completion, ModelWrapper, Notice, Prompt, PromptMessage, StreamItem

__all__ = ["ImagesModel"]

_PARTLY = "[not all of these images are shown to you]"
_KEPT = 10_000  # images of which it is kept whether the server takes them
_AT_MOST = re.compile(r"\b(?:most|to|of|is|maximum|limit|only)[ :]+(\d{1,3}) images?\b", re.IGNORECASE)


def _nothing() -> None:
    pass


@dataclass(slots=True)
class ImagesModel(ModelWrapper):
    """Sends images while the model ``sees``; ``turned_blind`` is called when its server takes none.

    An image that is refused is withheld from then on, in this process: of those in a prompt the ones that
    were not taken before, or the oldest ones where there are too many.
    """

    sees: Callable[[], bool]
    turned_blind: Callable[[], None] = _nothing
    _taken: dict[str, None] = field(default_factory=dict[str, None])
    _withheld: dict[str, None] = field(default_factory=dict[str, None])

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        learnt: list[str] = []
        withheld: list[str] = []  # on account of this prompt
        while True:
            sent, hashes = self._visible(prompt)
            try:
                async with aclosing(self.model.stream(sent)) as items:
                    async for item in items:
                        if isinstance(item, Completion) and learnt:
                            item = replace(item, notes=(*item.notes, *learnt))
                        yield item
                _keep(self._taken, hashes)
                return
            except (RequestRefused, BodyTooLarge) as error:
                if not hashes:  # they were not the reason
                    for each in withheld:
                        self._withheld.pop(each, None)
                    raise
                refusal = error
            if isinstance(refusal, ImagesUnsupported):
                self.turned_blind()
                fresh, learnt = hashes, [f"{str(refusal).rstrip('.')}. It is sent none from now on."]
            else:
                fresh = self._suspects(hashes, str(refusal))
                learnt.append(f"{str(refusal).rstrip('.')}. It was asked again without {_number(fresh)}.")
            withheld += fresh
            _keep(self._withheld, fresh)
            yield Notice(learnt[-1], restart=True)

    def _visible(self, prompt: Prompt) -> tuple[Prompt, list[str]]:
        """Return the prompt as it is sent, and the hashes of the images in it."""
        if not any(message.images for message in prompt.messages):
            return prompt, []
        sees = self.sees()
        messages = [self._shown(message, sees=sees) for message in prompt.messages]
        hashes = [image.media.hash for message in messages for image in message.images]
        return replace(prompt, messages=tuple(messages)), hashes

    def _shown(self, message: PromptMessage, *, sees: bool) -> PromptMessage:
        kept = tuple(image for image in message.images if sees and image.media.hash not in self._withheld)
        if len(kept) == len(message.images):
            return message
        return replace(message, text=f"{message.text}\n{_PARTLY if kept else NOT_SHOWN}", images=kept)

    def _suspects(self, hashes: Sequence[str], said: str) -> list[str]:
        """Return the images that the server may have refused."""
        most = int(found[1]) if (found := _AT_MOST.search(said)) else 0
        if most and (old := set(hashes) - set(hashes[-most:])):
            return list(old)
        return [each for each in dict.fromkeys(hashes) if each not in self._taken] or list(hashes)


def _number(hashes: Sequence[str]) -> str:
    count = len(set(hashes))
    return f"{count} images" if count > 1 else "an image"


def _keep(known: dict[str, None], hashes: Iterable[str]) -> None:
    known.update(dict.fromkeys(hashes))
    while len(known) > _KEPT:
        del known[next(iter(known))]
