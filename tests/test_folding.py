"""Equal rows of a ranking: what is one hit, and what stays two facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from pagefault.retrieval import fold
from pagefault.retrieval.ranking import browse
from pagefault.storage import Filter, Match, Transaction
from pagefault.testing.memory import MemoryStore
from pagefault.types import AgentRecord, Message, Passage, Role, Tier

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 22, 18, 54, tzinfo=UTC)


async def folded(tier: Tier, rows: Sequence[Message | Passage]) -> tuple[list[int], dict[int, list[str]]]:
    """The numbers that stay, newest first, and what was folded into each."""

    def work(tx: Transaction) -> tuple[list[int], dict[int, list[str]]]:
        ana = tx.create_agent(AgentRecord("ana", {}, NOW)).id
        for row in rows:
            if isinstance(row, Message):
                tx.append(ana, [row])
            else:
                tx.insert_passage(ana, row)
        hits = browse(tier, tx.search(ana, tier, Match(), Filter(), "f")).owned(ana)
        kept, like = fold(tx, hits)
        return [hit.number for hit in kept], {
            number: [f"{'m' if hit.tier == 'recall' else 'p'}{hit.number}" for hit in hits]
            for (_, _, number), hits in like.items()
        }

    return await MemoryStore().write(work)


def passages(*texts: str) -> list[Passage]:
    return [Passage(text, NOW, title=f"Page {number}") for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The meeting is on Monday.", "the MEETING is on monday"),
        ("Café - «ouvert»", "Cafe\u0301, ouvert!"),
        ("会议在星期一。", "会议在星期一"),
        ("الاجتماع يوم الاثنين", "الاجتماع: يوم الاثنين."),
    ],
)
async def test_texts_of_the_same_words_in_the_same_order_are_one_hit(one: str, other: str) -> None:
    assert await folded("archival", passages(one, "else", other)) == ([3, 2], {3: ["p1"]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Invoice 1234 paid", "Invoice 1235 paid"),
        ("I eat meat", "I do not eat meat"),
        ("Ana owes Bo money", "Bo owes Ana money"),
        ("The meeting is on Monday", "The meeting is on Tuesday"),
        ("会议在星期一", "会议在星期二"),
        ("встреча в понедельник", "встреча во вторник"),
        ("…", "!"),
    ],
)
async def test_one_other_word_or_number_is_another_fact(one: str, other: str) -> None:
    assert await folded("archival", passages(one, other)) == ([2, 1], {})


async def test_who_said_it_is_part_of_a_message() -> None:
    said = [
        Message(Role.USER, "I agree with that", NOW, speaker="Ana"),
        Message(Role.USER, "I agree with that", NOW, speaker="Bo"),
        Message(Role.ASSISTANT, "I agree with that", NOW),
        Message(Role.USER, "I agree with that!", NOW, speaker="Ana"),
    ]
    assert await folded("recall", said) == ([4, 3, 2], {4: ["m1"]})


async def test_boilerplate_in_two_hundred_documents_is_one_hit() -> None:
    notice = "All rights reserved. Do not copy."
    kept, like = await folded("archival", passages(*([notice] * 199), "A fact", notice))
    assert kept == [201, 200, 1], "the hits after the first two hundred are not compared"
    assert like == {201: [f"p{number}" for number in range(199, 1, -1)]}


async def test_nothing_found_is_nothing_folded() -> None:
    assert await folded("archival", []) == ([], {})
    assert await folded("recall", []) == ([], {})
