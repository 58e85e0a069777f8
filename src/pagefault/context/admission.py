"""Admission: how a row is shown in the prompt, fixed once, when it enters the log.

A row larger than its share of the window shows its head, its size and a handle to read on. Its text is quoted
(``quoting``), so that no line of it passes for one of ours. The log keeps it whole, and as it was. Which of
its images are shown is fixed here too: those that the model is sent and that leave room for the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from pagefault.context import paging, row_tokens
from pagefault.images import MOST_BYTES, with_media
from pagefault.media import NOT_SHOWN, Media
from pagefault.models.json_text import read_json
from pagefault.models.tokens import Counter
from pagefault.quoting import broken, in_texts, quoted, whole
from pagefault.types import Message, Role

FRAMED = "{framed}"
"""The ``shown`` of a draft whose text has frames of ours; what is foreign in it is quoted already."""

_OWN = (Role.ASSISTANT, Role.THOUGHT)  # the model's text, in its own role
_SLACK = 96  # tokens that a result of reading external memory, paged already, may take beyond its share


def admit(
    drafts: Sequence[Message],
    *,
    last_seq: int,
    event: int | None,
    size: int,
    counter: Counter,
    image_tokens: Callable[[Media], int],
) -> list[Message]:
    """Fix how rows are shown and number them: what is larger than ``size`` tokens shows its head, its
    size and a handle. ``image_tokens``: what an image takes, 0 if it is not sent.

    A draft's ``shown`` holds its label with ``{}`` for the text, or is empty for a row not shown; a line for
    each of its media follows on the text, in the log too, where it is found by the name.
    ``completion=0`` stands for the first row's number.
    """
    rows: list[Message] = []
    for seq, draft in enumerate(drafts, last_seq + 1):
        draft, taken = replace(draft, text=whole(draft.text)), 0
        limit = size + _SLACK if draft.meta.sources else paging.text_size(size)
        if draft.role is Role.CALL:
            shown = _clipped_arguments(draft.text, limit, f"m{seq}", counter)
        elif draft.shown:
            reads_on = f'recall_read("m{seq}", page=2)'
            body, pages = paging.head(draft.text, limit, counter, reads_on, _quote(draft))
            shown = whole(draft.shown).replace(FRAMED if draft.shown == FRAMED else "{}", body, 1)
            images, taken = _shown_images(draft.meta.media, 2 * size, image_tokens)
            shown, text = (with_media(each, draft.meta.media) for each in (shown, draft.text))
            shown += _about_hidden(draft.meta.media, images)
            meta = replace(draft.meta, pages=pages if pages > 1 else 0, images=images)
            draft = replace(draft, text=text, meta=meta)
        else:
            shown = ""
        completion = last_seq + 1 if draft.completion == 0 else draft.completion
        row = replace(draft, seq=seq, shown=shown, event=event, completion=completion)
        if row.role is Role.CALL:
            row = replace(row, call_id=f"c{seq}")
        rows.append(replace(row, tokens=row_tokens(row, counter) + taken))
    return rows


def _shown_images(media: Sequence[Media], most: int, image_tokens: Callable[[Media], int]) -> tuple[int, int]:
    """Return the number of images that are shown, the first ones, and the tokens that they take, ``most`` at
    most. No more are shown than a request takes."""
    shown = taken = size = 0
    for image in (each for each in media if each.is_image):
        tokens = image_tokens(image)
        size += image.size
        if not tokens or taken + tokens > most or size > MOST_BYTES:
            break
        shown, taken = shown + 1, taken + tokens
    return shown, taken


def _about_hidden(media: Sequence[Media], shown: int) -> str:
    """Return the line about images that are not shown; empty if all are."""
    if shown == sum(each.is_image for each in media):
        return ""
    return f"\n[only the first {shown:,} are shown to you]" if shown else f"\n{NOT_SHOWN}"


def _quote(draft: Message) -> paging.Quote:
    """The function that gives the text of a draft, or a part of it, as the prompt shows it."""
    if draft.shown == FRAMED:
        return lambda part, _: part
    if draft.role in _OWN:
        return lambda part, _: broken(part)
    label = draft.shown.partition("{}")[0]
    return lambda part, before: quoted(part, opens_line=(before or label or "\n").endswith("\n"))


def _clipped_arguments(raw: str, size: int, handle: str, counter: Counter) -> str:
    """A call's arguments as the prompt shows them: always a JSON object, long strings cut to their head."""
    try:
        value = read_json(raw or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        value = {"unreadable_arguments": raw}
    elif counter.count(raw) <= size:
        clean = in_texts(broken, value)
        return (raw or "{}") if clean == value else json.dumps(clean, ensure_ascii=False)
    items = cast(dict[str, Any], value).items()
    share = max(8, size // (2 * max(1, len(items))))
    clipped = {key: _clipped(item, share, handle, counter) for key, item in items}
    return json.dumps(in_texts(broken, clipped), ensure_ascii=False)


def _clipped(item: object, size: int, handle: str, counter: Counter) -> object:
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
    pieces = paging.split(text, size, counter)
    return item if len(pieces) == 1 else f"{pieces[0]}… [cut; the whole is {handle}]"
