"""Questions that want more than the nearest rows: an order of events, and advice, on which wishes bear."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pagefault.embedders import Embedder, Vectors
from pagefault.errors import UsageError
from pagefault.kernel.indexer import Indexer
from pagefault.retrieval import Retriever
from pagefault.retrieval.asking import states, topic
from pagefault.retrieval.query import understand
from pagefault.retrieval.ranking import Weights, rank
from pagefault.retrieval.service import EmbedderService
from pagefault.storage import Filter, Store
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.memory import MemoryStore
from pagefault.testing.store_opening import NOW, said
from pagefault.types import AgentId, AgentRecord, Passage, Role
from test_retrieval import QUERY, SCALE, columns, order

TOPICS = ("book novel read paperback edition library", "boat sail harbour", "train ticket")


class Topical(HashEmbedder):
    """A fake that knows what a text is about: texts on one topic are near, whatever their words."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for place, words in enumerate(TOPICS):
                vectors[row, place] = any(word in text.lower() for word in words.split())
        vectors += 0.3 * await super().embed(texts)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SQLiteStore.open(tmp_path / "memory.db")


def no_other(name: str) -> Embedder:
    raise UsageError(f"There is no embedder {name!r} here.")


def first(store: Store, asked: str, rows: Sequence[str | Passage], count: int = 5) -> list[str]:
    """The texts found first. A row that begins with ``>`` was said by the assistant."""

    async def story() -> list[str]:
        agent = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
        passages = [row for row in rows if isinstance(row, Passage)]
        spoken = [row for row in rows if isinstance(row, str)]
        messages = [
            replace(said(row.removeprefix(">")), role=Role.ASSISTANT if row.startswith(">") else Role.USER)
            for row in spoken
        ]
        await store.write(lambda tx: (tx.append(agent, messages), tx.insert_passages(agent, passages)))
        embedder = Topical()
        service = EmbedderService(store, embedder, "", no_other)
        await Indexer(store, service).settled()
        tier = "archival" if passages else "recall"
        found = await Retriever(store, service.serving).search(agent, tier, asked, Filter())
        texts = [row.text for row in passages] if passages else [row.removeprefix(">") for row in spoken]
        assert sorted(hit.number for hit in found) == sorted({hit.number for hit in found})
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
        await store.close()
        return [texts[hit.number - 1] for hit in found[:count]]

    return asyncio.run(story())


NOVELS = [f"My neighbour finished novel number {n} on Sunday." for n in range(20)]
WISH = "I prefer paperbacks, they are lighter."


def test_advice_draws_what_the_asker_prefers(store: Store) -> None:
    assert WISH in first(store, "Which edition should I buy?", [WISH, *NOVELS])


def test_a_fact_does_not(store: Store) -> None:
    assert WISH not in first(store, "Which edition did my neighbour buy?", [WISH, *NOVELS])


def test_neither_does_a_preference_about_something_else(store: Store) -> None:
    other = "I prefer to sail at night, the harbour is quiet."
    assert other not in first(store, "Which edition should I buy?", [other, *NOVELS], 50)


def test_nor_what_the_assistant_says_it_prefers_or_a_long_text(store: Store) -> None:
    own, long = f">{WISH}", WISH + " word" * 100
    found = first(store, "Which edition should I buy?", [own, long, *NOVELS])
    assert not {WISH, long}.intersection(found)


def test_preferences_are_found_in_the_archive_too(store: Store) -> None:
    passages = [Passage(text, NOW) for text in (WISH, *NOVELS)]
    assert WISH in first(store, "Which edition should I buy?", passages)


def test_so_does_an_instruction_that_is_to_hold_every_time(store: Store) -> None:
    wish = "Always name the library that has it."
    asked = "Which edition should I buy?"
    assert wish in first(store, asked, [wish, *NOVELS])
    assert wish not in first(MemoryStore(), asked, [f">{wish}", *NOVELS])


def test_a_wish_is_a_part_of_the_score_and_finds_no_row_by_itself() -> None:
    found = columns(4, cosine=[0.3, 0.3, 0.3, 0.0])
    plain = rank("recall", found, QUERY, Weights(), SCALE, {}).owned(AgentId(1))
    assert [hit.number for hit in plain] == [2, 1, 0]
    wished = rank("recall", found, QUERY, Weights(), SCALE, {}, {0, 3}).owned(AgentId(1))
    assert [hit.number for hit in wished] == [0, 2, 1]
    assert wished[0].parts["wish"] == pytest.approx(Weights().wish)
    assert wished[0].score == pytest.approx(plain[2].score + Weights().wish, abs=1e-3)


STATES = {
    "en": ("I'd rather go by train", "I really don't like crowds.", "Never call me before nine."),
    "de": ("Ich fahre lieber mit der Bahn.", "Ich mag laute Lokale nicht.", "Nenne Preise immer in Euro."),
    "zh": ("我更喜欢坐火车", "我不喜歡太吵的餐廳。", "以后请都用简体中文回答。"),
    "ja": ("飛行機より電車の方が好きです。", "人混みは苦手です。", "今後は必ず出典を書いてください。"),
    "zh-Hant": ("我比較喜歡搭火車", "我討厭排隊。", "以後請不要用英文回答。"),
    "ko": (
        "비행기보다 기차가 더 좋아요.",
        "시끄러운 곳은 싫어해요.",
        "앞으로 가격은 항상 원화로 알려 주세요.",
    ),
    "fr": (
        "Je préfère prendre le train.",
        "Je n'aime pas la foule.",
        "À partir de maintenant, réponds en français.",
    ),
    "es": ("Prefiero ir en tren.", "No me gusta el ruido.", "A partir de ahora, dame los precios en euros."),
    "it": ("Preferisco andare in treno.", "Non sopporto la folla.", "D'ora in poi rispondi in italiano."),
    "pt": ("Prefiro ir de comboio.", "Não gosto de barulho.", "A partir de agora, responda em português."),
    "nl": ("Ik ga liever met de trein.", "Ik hou niet van drukte.", "Geef prijzen voortaan in euro."),
    "pl": ("Wolę jechać pociągiem.", "Nie lubię tłumów.", "Od teraz podawaj ceny w złotych."),
    "ru": ("Я предпочитаю поезд.", "Мне не нравится шум.", "Всегда указывай год издания."),
    "tr": ("Treni tercih ederim.", "Kalabalığı sevmiyorum.", "Bundan sonra fiyatları lira olarak yaz."),
    "ar": ("أفضل السفر بالقطار.", "لا أحب الضوضاء.", "من الآن فصاعدا أجب بالعربية."),
    "th": ("ฉันชอบรถไฟมากกว่าเครื่องบิน", "ฉันไม่ชอบเสียงดัง", "ต่อไปนี้ช่วยบอกราคาเป็นบาท"),
}
STATES_NOTHING = {
    "en": ("We never met.", "I like it, as always.", "Do you prefer tea?", "He lives in the old mill."),
    "de": ("Wir haben uns nie getroffen.", "Er wohnt immer noch da.", "Der Zug fährt um neun."),
    "zh": ("我们从来没见过。", "他住在上海。", "火车九点开。"),
    "ja": ("私たちは会ったことがありません。", "電車は九時に出ます。", "彼は上海に住んでいます。"),
    "zh-Hant": ("我們從來沒見過。", "火車九點開。"),
    "ko": ("우리는 만난 적이 없어요.", "기차는 아홉 시에 떠나요."),
    "fr": ("Il habite toujours à Lyon.", "Le train part à neuf heures."),
    "es": ("Nunca nos hemos visto.", "El tren sale a las nueve."),
    "it": ("Abita ancora a Roma.", "Il treno parte alle nove."),
    "pt": ("O comboio parte às nove.", "Ele mora em Lisboa."),
    "nl": ("De trein vertrekt om negen uur.", "Hij woont nog in Gent."),
    "pl": ("Pociąg odjeżdża o dziewiątej.", "On mieszka w Krakowie."),
    "ru": ("Поезд уходит в девять.", "Он живёт в Казани."),
    "tr": ("Tren dokuzda kalkıyor.", "O Ankara'da oturuyor."),
    "ar": ("القطار يغادر في التاسعة.", "هو يسكن في القاهرة."),
    "th": ("รถไฟออกเก้าโมง", "เขาอยู่ที่เชียงใหม่"),
}


@pytest.mark.parametrize("language", STATES)
def test_wishes_are_read_in_every_language(language: str) -> None:
    for text in STATES[language][:2]:
        assert states(text, "preference"), text
    assert states(STATES[language][2], "instruction"), STATES[language][2]
    for text in STATES_NOTHING[language]:
        assert not [name for name in ("preference", "instruction") if states(text, name)], text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("List the order in which I brought up different parts of my boat repair.", "boat repair"),
        ("In welcher Reihenfolge habe ich über die Hochzeit gesprochen?", "hochzeit"),
        ("请按时间顺序列出我提到的装修事项。", "装修"),
        ("庭の工事について話した順番を教えてください。", "庭 工事"),
        ("Dans quel ordre ai-je parlé du déménagement ?", "demenagement"),
        ("¿En qué orden mencioné los distintos pasos de la mudanza?", "mudanza"),
        ("В каком порядке я упоминал разные этапы ремонта?", "ремонта"),
    ],
)
def test_an_order_is_searched_by_its_topic(text: str, left: str) -> None:
    assert understand(text).asking.kind == "order"
    for word in left.split():
        assert word in topic(text)
    assert len(topic(text)) <= len(text) / 2
    assert understand(text).bare == topic(text)


def test_an_order_is_one_of_what_people_brought_up_and_a_summary_takes_in_the_assistant() -> None:
    rows = columns(2, own=[True, False], lexical=[2.0, 1.0])
    assert order(rows, understand("In which order did I bring up the boats?")) == [1, 0]
    assert order(rows, understand("Which order did you recommend the boats in?")) == [0, 1]
    even = columns(2, own=[True, False], lexical=[2.0, 2.0])
    assert order(even, understand("What do I pay for the boat?")) == [1, 0]
    assert order(even, understand("Summarize the repair of the boat.")) == [0, 1]


@pytest.mark.parametrize(
    "text", ["Can you list my boats?", "What would you suggest?", "Could you show me how to sail?"]
)
def test_a_request_is_no_question_about_what_you_said(text: str) -> None:
    assert not understand(text).asks_assistant
