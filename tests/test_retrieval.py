"""The ranker: what a query is understood to ask, and which rows come first and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.embedders import Scale
from pagefault.retrieval.dates import spans
from pagefault.retrieval.hits import NOTHING, PARTS, Ranking
from pagefault.retrieval.phrases import adjacent
from pagefault.retrieval.query import Query, understand
from pagefault.retrieval.ranking import Weights, rank
from pagefault.retrieval.windows import windows
from pagefault.storage import Found
from pagefault.types import AgentId, Tier

NOW = datetime(2026, 11, 22, 18, 54, tzinfo=UTC)  # a Sunday
SCALE = Scale(floor=0.2, strong=0.6, spread=0.3)
QUERY = Query("", ())


# what is asked


@pytest.mark.parametrize(
    "text",
    [
        "Which door does 3f2504e0-4f89-41d3-9a0c-0305e82c3301 open?",
        "where is order INV-2024-00117",
        "call 13800138000",
        "what was ticket 48213 about",
        "who has badge KX-4471?",
        "who is wangsiqi1210@example.com",
        '"opens door 13"',
        'Where is "the red book"?',
        "「青い本」はどこ",
    ],
)
def test_keys_and_bare_quotations_must_be_there(text: str) -> None:
    assert understand(text).exact


@pytest.mark.parametrize(
    "text",
    [
        "What did we plan in July 2023?",
        "p53 and IL-10 in COVID-19 patients, 1,000 of them",
        "on 2024-04-16 at 19:00, the 3rd time",
        "in the 1930s, since mid-2009, 10000 people",
        "H3K79me2 and the compound p4010",
        'The creator of "Wallace and Gromit" also created what animation comedy?',
    ],
)
def test_numbers_dates_and_quotations_in_passing_are_hints(text: str) -> None:
    query = understand(text)
    assert query.exact == ()
    assert query.terms


def test_stop_words_go_unless_there_is_nothing_else() -> None:
    assert understand("Hey, remember when we talked about boats?").terms == ("boat",)
    assert understand("who are you").terms == ("who", "are", "you")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("Wo war die Frau mit dem Hund?", ("frau", "hund")),
        ("Où est-ce que nous avons garé la voiture ?", ("gare", "voitur")),
        ("¿Dónde está el coche de mi hermana?", ("coch", "hermana")),
        ("Где мы оставили машину?", ("оставили", "машину")),
        ("What was in the film Die Hard?", ("film", "die", "hard")),
        ("come and see the war memorial", ("come", "see", "war", "memori")),
        ("他在哪儿？", ("他在", "在哪", "哪儿", "儿")),
        ("猫の名前は？", ("猫", "猫の", "の名", "名", "名前", "前", "前は")),
    ],
)
def test_stop_words_are_those_of_the_querys_language(text: str, content: tuple[str, ...]) -> None:
    assert understand(text).terms == content


@pytest.mark.parametrize(
    ("text", "people", "subject", "bare"),
    [
        ("小明昨天说了什么？", ["小明", "小红"], "小明", "昨天说了什么?"),
        ("田中さんは何と言いましたか", ["田中"], "田中", "さんは何と言いましたか"),
        ("Anna昨天说了什么", ["Anna"], "Anna", "昨天说了什么"),
        ("Wie heißt Annas Hund?", ["Anna"], "Anna", "Wie heißt Hund?"),
        ("Что сказала Анна вчера?", ["Анна", "Ан"], "Анна", "Что сказала вчера?"),
        ("ماذا قالت ليلى أمس؟", ["ليلى"], "ليلى", "ماذا قالت أمس؟"),
        ("明天在哪里", ["明"], "", "明天在哪里"),
    ],
)
def test_names_in_every_script(text: str, people: list[str], subject: str, bare: str) -> None:
    query = understand(text, people)
    assert (query.subject, query.bare) == (subject, bare)


def test_of_thousands_of_speakers_those_named_are_found() -> None:
    """A pattern for each would take minutes."""
    people = [f"Person {number}" for number in range(20_000)] + ["İpek", "J. R."]
    assert understand("What did Person 7777 say to the others?", people).subject == "Person 7777"
    assert understand("ipek ne dedi?", people).subject == "İpek"
    assert understand("Where is J. R.'s ranch?", people).subject == "J. R."
    named = understand(" ".join(people), people)
    assert (named.subject, named.is_one_named) == ("", False)


@pytest.mark.parametrize(
    "text", ["«синяя книга»", "„das blaue Buch“", "『青い本』は", "»das Buch«", "“the book”"]
)
def test_quotes_of_other_languages_quote(text: str) -> None:
    assert understand(text).exact


@pytest.mark.parametrize(
    "text",
    [
        "Welches Buch hast du mir empfohlen?",
        "Quel livre m'as-tu conseillé ?",
        "Что ты мне посоветовал?",
        "この前勧めてくれた本は何ですか",
        "Hangi kitabı önermiştin?",
    ],
)
def test_what_you_said_is_asked_in_other_languages(text: str) -> None:
    assert understand(text).asks_assistant


def test_participants_are_whom_not_what() -> None:
    query = understand("What does Melanie think about Caroline's decision?", ["Caroline", "Melanie", "user"])
    assert query.bare == "What does think about decision?"
    assert query.terms == ("think", "decis")
    assert query.subject == "Melanie", "of two, the one without a possessive"
    assert not query.is_one_named
    alone = understand("Who is melanie?", ["Melanie"])
    assert (alone.subject, alone.is_one_named) == ("Melanie", True)
    assert understand("the user of Melaniex", ["user", "Melanie"]).subject == ""


def test_what_you_said_is_asked_of_the_assistant() -> None:
    assert understand("Which book did you say you would recommend?").asks_assistant
    assert understand("你推荐了什么书？").asks_assistant
    assert not understand("What should I say to you?").asks_assistant


@pytest.mark.parametrize(
    ("text", "start", "days"),
    [
        ("on 8 May, 2023", "2023-05-08", 1),
        ("on May 8th 2023", "2023-05-08", 1),
        ("on the 8th of May", "2026-05-08", 1),
        ("what did I say on December 24?", "2025-12-24", 1),
        ("in July 2023", "2023-07-01", 31),
        ("in december", "2025-12-01", 31),
        ("2024-02-29", "2024-02-29", 1),
        ("in 2024", "2024-01-01", 366),
        ("yesterday", "2026-11-21", 1),
        ("last week", "2026-11-09", 7),
        ("last Friday", "2026-11-20", 1),
        ("3 days ago", "2026-11-19", 1),
        ("last month", "2026-10-01", 31),
        ("last year", "2025-01-01", 365),
        ("2024年4月1日的会议", "2024-04-01", 1),
        ("2024年4月", "2024-04-01", 30),
        ("4月1日", "2026-04-01", 1),
        ("昨日の会議", "2026-11-21", 1),
        ("上周", "2026-11-09", 7),
        ("3天前", "2026-11-19", 1),
        ("五月三日", "2026-05-03", 1),
        ("二〇二三年十二月", "2023-12-01", 31),
        ("２０２４年４月１日", "2024-04-01", 1),
        ("令和6年5月3日の会議", "2024-05-03", 1),
        ("上周五", "2026-11-13", 1),
        ("先週の金曜日", "2026-11-13", 1),
        ("三天前", "2026-11-19", 1),
        ("two weeks ago", "2026-11-08", 7),
        ("the week before last", "2026-11-02", 7),
        ("what happened on 05/03/2024?", "2024-05-03", 1),
        ("am 5. Mai 2023", "2023-05-05", 1),
        ("Was war am 5.3.2024?", "2024-03-05", 1),
        ("Was haben wir am 05/03/2024 gemacht?", "2024-03-05", 1),
        ("Was habe ich im März gesagt?", "2026-03-01", 31),
        ("Was haben wir letzte Woche besprochen?", "2026-11-09", 7),
        ("Wo waren wir vorgestern?", "2026-11-20", 1),
        ("Was sagte sie vor drei Tagen?", "2026-11-19", 1),
        ("Wo war ich letzten Freitag?", "2026-11-20", 1),
        ("Qu'est-ce que j'ai fait hier ?", "2026-11-21", 1),
        ("Où étions-nous la semaine dernière ?", "2026-11-09", 7),
        ("Qu'avons-nous dit il y a deux jours ?", "2026-11-20", 1),
        ("Qui a appelé le 1er février 2024 ?", "2024-02-01", 1),
        ("Où étais-je lundi dernier ?", "2026-11-16", 1),
        ("¿Qué hice el 5 de mayo de 2023?", "2023-05-05", 1),
        ("¿Dónde estuvimos anteayer?", "2026-11-20", 1),
        ("¿Qué dijo hace una semana?", "2026-11-15", 7),
        ("¿Qué compramos en agosto?", "2026-08-01", 31),
        ("Что я делал 3 мая 2023 года?", "2023-05-03", 1),
        ("Где мы были позавчера?", "2026-11-20", 1),
        ("Что мы решили на прошлой неделе?", "2026-11-09", 7),
        ("Кто звонил два дня назад?", "2026-11-20", 1),
        ("Что было в мае?", "2026-05-01", 31),
    ],
)
def test_times_named_in_a_query(text: str, start: str, days: int) -> None:
    (span,) = spans(text, NOW)
    assert span.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert span.end - span.start == timedelta(days=days)


@pytest.mark.parametrize(
    "text", ["I may go", "31 February 2023", "room 2024", "the march of 12 men", "May I?"]
)
def test_what_is_no_time(text: str) -> None:
    assert spans(text, NOW) == ()


@pytest.mark.parametrize("text", ["غرفة ٣٤", "कमरा ३४", "ห้อง ๓๔", "room 34"])
def test_a_number_is_the_same_in_every_script(text: str) -> None:
    assert "34" in understand(text).terms


def test_days_begin_at_midnight_where_the_user_is() -> None:
    (span,) = spans("yesterday", NOW.astimezone(ZoneInfo("Asia/Tokyo")))
    assert span.start.astimezone(UTC) == datetime(2026, 11, 21, 15, tzinfo=UTC)


@pytest.mark.parametrize("text", ["vor drei Tagen", "il y a trois jours", "hace tres días", "три дня назад"])
def test_days_are_counted_across_a_change_of_the_clock(text: str) -> None:
    now = datetime(2026, 10, 26, 1, tzinfo=ZoneInfo("Europe/Berlin"))  # summer time ended the day before
    (span,) = spans(text, now)
    assert span.start.astimezone(UTC) == datetime(2026, 10, 22, 22, tzinfo=UTC)
    assert span.end.astimezone(UTC) == datetime(2026, 10, 23, 22, tzinfo=UTC)


@pytest.mark.parametrize("text", ["gestern", "qui a appelé hier", "ayer", "вчера", "昨天"])
def test_the_day_of_a_change_of_the_clock_is_a_whole_one(text: str) -> None:
    (span,) = spans(f"{text}, Ana", datetime(2026, 10, 26, 1, tzinfo=ZoneInfo("Europe/Berlin")))
    assert span.end.astimezone(UTC) - span.start.astimezone(UTC) == timedelta(hours=25)


# what comes first


def columns(rows: int, **chosen: object) -> Found:
    """Rows that nothing speaks for, none of them in a session."""
    still = Found(
        number=np.arange(rows),
        position=np.arange(rows),
        session=np.zeros(rows, np.int64),
        at=np.zeros(rows, np.int64),
        speaker=np.zeros(rows, np.int32),
        own=np.zeros(rows, np.bool_),
        units=np.full(rows, 10, np.int32),
        question=np.zeros(rows, np.bool_),
        lexical=np.zeros(rows, np.float32),
        cosine=np.zeros(rows, np.float32),
        matched=np.zeros(rows, np.bool_),
        may_show=np.ones(rows, np.bool_),
        speakers=("",),
        more=np.empty(0, np.int64),
        whole=4.0,
    )
    arrays = {
        name: value if name in ("speakers", "whole") else np.array(value, getattr(still, name).dtype)
        for name, value in chosen.items()
    }
    made = replace(still, **arrays)
    return replace(made, matched=(made.lexical > 0) | (made.cosine >= SCALE.floor))


def ranked(
    found: Found, query: Query = QUERY, tier: Tier = "recall", adjacent: Mapping[int, float] = {}
) -> Ranking:
    return rank(tier, found, query, Weights(), SCALE, adjacent).owned(AgentId(1))


def order(found: Found, query: Query = QUERY) -> list[int]:
    return ranked(found, query).number.tolist()


def test_words_and_meaning_add_up() -> None:
    assert order(columns(3, lexical=[0, 4, 4], cosine=[0.5, 0, 0.4], session=[1, 2, 3])) == [2, 0, 1]


def test_of_equals_the_later_first() -> None:
    assert order(columns(3, lexical=[1, 1, 1])) == [2, 1, 0]


def test_an_answer_is_found_through_its_question() -> None:
    asked = columns(4, lexical=[0, 0, 5, 0], cosine=[0.12, 0.12, 0.12, 0.19], session=[1, 1, 1, 1])
    assert order(asked) == [2, 3, 1]
    assert order(replace(asked, session=np.array([1, 1, 1, 2]))) == [2, 1], "not over a session's end"
    assert order(replace(asked, session=np.zeros(4, np.int64))) == [2], "nor without sessions"
    assert order(replace(asked, position=np.array([0, 1, 2, 9]))) == [2, 1], "nor over a gap"


def test_what_matches_in_no_way_is_not_found() -> None:
    far = columns(3, cosine=[0.1, 0.15, 0.3])
    assert order(far) == [2]
    assert order(columns(0)) == []


def test_rows_without_a_vector_yet_are_found_by_words() -> None:
    some = columns(3, lexical=[3, 0, 0], cosine=[np.nan, 0.6, np.nan], session=[1, 2, 3])
    assert order(some) == [0, 1]
    assert order(columns(2, lexical=[0, 3], cosine=[np.nan, np.nan], session=[1, 2])) == [1]


def verbatim(cosine: list[float], tier: Tier, having: int) -> dict[int, float]:
    """The score of each row, best first; the first ``having`` have the query verbatim, others no word."""
    words = [4.0] * having + [0.0] * (len(cosine) - having)
    found = columns(len(cosine), lexical=words, cosine=cosine)
    hits = ranked(found, tier=tier, adjacent=dict.fromkeys(range(having), 1.0))
    return {hit.number: hit.score for hit in hits}


COSINES = st.lists(st.floats(-0.25, 1.0, width=16), min_size=1, max_size=12)
UNKNOWN = float("nan")


@given(COSINES, st.data(), st.sampled_from(["recall", "archival"]))
def test_vectors_that_are_missing_move_no_verbatim_row_below_rows_without_a_word(
    cosine: list[float], data: st.DataObject, tier: Tier
) -> None:
    own = data.draw(st.sampled_from([UNKNOWN, max(cosine)]))
    kept = data.draw(st.lists(st.booleans(), min_size=len(cosine), max_size=len(cosine)))
    partly = [value if keep else UNKNOWN for value, keep in zip(cosine, kept, strict=True)]
    assert next(iter(verbatim([own, *partly], tier, 1))) == 0


@given(COSINES, st.sampled_from(["recall", "archival"]))
def test_a_verbatim_row_without_a_vector_stands_where_one_with_a_vector_does_or_above(
    cosine: list[float], tier: Tier
) -> None:
    score = verbatim([UNKNOWN, *cosine], tier, 2)
    assert score[0] >= score[1] - 1e-3


def test_a_few_vectors_are_not_stretched_over_those_who_have_none() -> None:
    cosine = [0.3, 0.1, 0.05, *[np.nan] * 7]
    some = columns(10, lexical=[0, 0, 0, 0, 0, 0, 0, 2, 0, 3], cosine=cosine)
    assert order(some) == [9, 7, 0], "half of the words say more than a cosine that is no evidence"


def test_a_phrase_counts_more_than_the_same_words_apart_and_more_than_meaning() -> None:
    found = columns(3, lexical=[3, 4, 0], cosine=[0.2, 0.3, 0.9])
    assert order(found) == [2, 1, 0]
    assert ranked(found, adjacent={0: 1.0, 1: 0.25}).number.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("query", "text", "share"),
    [
        ("the quick brown fox", "A quick brown fox; the Quick Brown!", 1.0),
        ("the quick brown fox", "quick, the brown fox", 1 / 3),
        ("quick", "quick", None),
        ("我的猫", "我的猫叫咪咪", 1.0),
        ("рыжий кот спит", "Рыжий кот не спит", 0.5),
    ],
)
def test_adjacent_words_are_counted_in_the_rows_best_by_words(
    query: str, text: str, share: float | None
) -> None:
    found = columns(30, lexical=[0, *range(1, 30)], units=[10] * 29 + [50_000])
    asked: list[int] = []

    def texts(numbers: Sequence[int]) -> dict[int, str]:
        asked.extend(numbers)
        return dict.fromkeys(numbers, text)

    near = adjacent(Query(query, ()), found, texts)
    if share is None:
        assert (near, asked) == ({}, [])
    else:
        assert asked == list(range(28, 9, -1)), "the best twenty but for one that is too long"
        assert near[28] == pytest.approx(share)


def test_the_person_named_is_preferred() -> None:
    said = columns(2, lexical=[1, 1], session=[1, 2], speaker=[0, 1], speakers=("Ana", "Bo"))
    assert order(said, replace(QUERY, subject="Ana", is_one_named=True)) == [0, 1]
    assert order(said, replace(QUERY, subject="Bo", is_one_named=True)) == [1, 0]


def test_the_user_s_own_words_come_before_the_assistant_s_unless_those_are_asked_for() -> None:
    said = columns(2, lexical=[1, 1], session=[1, 2], own=[False, True])
    assert order(said) == [0, 1]
    assert order(said, replace(QUERY, asks_assistant=True)) == [1, 0]


def test_a_day_that_is_named_is_preferred_and_found_by_itself() -> None:
    day = [int(datetime(2023, 5, n, 12, tzinfo=UTC).timestamp() * 1e6) for n in (1, 8, 10, 20)]
    query = understand("on 8 May 2023", now=NOW)
    assert order(columns(4, at=day), query) == [1, 2]
    told = columns(4, at=day, lexical=[1, 1, 1, 1])
    assert order(told, query) == [1, 2, 3, 0], "the days after count a little"


def test_a_question_and_a_long_text_stand_back() -> None:
    assert order(columns(2, lexical=[1, 1], session=[1, 2], question=[False, True])) == [0, 1]
    assert order(columns(2, lexical=[1, 1], session=[1, 2], units=[100, 1000])) == [0, 1]


def test_a_session_speaks_for_its_rows() -> None:
    told = columns(4, lexical=[5, 1, 1, 0], session=[1, 1, 2, 2], position=[0, 5, 10, 15])
    assert order(told) == [0, 1, 2]


def test_the_parts_say_why_and_add_up_to_the_score() -> None:
    some = columns(5, lexical=[1, 2, 0, 0, 1], cosine=[0.1, 0.5, 0.3, 0.2, 0.9], session=[1, 1, 2, 2, 2])
    for hit in ranked(some):
        assert set(hit.parts) == set(PARTS)
        assert sum(hit.parts[name] for name in PARTS[:-2]) == pytest.approx(hit.score, abs=1e-3)
        assert hit.parts["bm25"] == some.lexical[hit.number]


def test_a_neighbour_without_likeness_is_context_not_a_result() -> None:
    told = columns(3, lexical=[0, 5, 0], cosine=[0.05, 0.3, 0.1], session=[1, 1, 1])
    assert order(told) == [1]


def test_a_neighbour_without_a_vector_is_found_in_a_dialogue_for_nothing_speaks_against_it() -> None:
    told = columns(3, lexical=[0, 5, 0], cosine=[0.05, 0.3, np.nan], session=[1, 1, 1])
    assert order(told) == [1, 2]
    assert ranked(told, tier="archival").number.tolist() == [1], "the passage beside is other text"


def test_matches_that_are_no_candidates_come_last_and_count() -> None:
    some = replace(columns(2, lexical=[1, 2]), more=np.array([7, 5]))
    assert order(some) == [1, 0, 7, 5]
    assert dict(ranked(some)[3].parts) == {}
    assert [hit.number for hit in ranked(some)[1:3]] == [0, 7]


def test_two_storages_merge_by_score() -> None:
    one, other = (
        ranked(columns(2, lexical=[1, 2])),
        ranked(columns(1, lexical=[1]), tier="archival"),
    )
    both = one.merged(other)
    assert [(hit.tier, hit.number) for hit in both] == [("recall", 1), ("archival", 0), ("recall", 0)]


def test_a_query_with_more_stop_words_of_another_language_is_not_english() -> None:
    german = "Wann steht in der Familie ein großer Geburtstag an?"  # "in" and "an" are English too
    queries = [german, "the contract for die Wohnung", "deadline", "日本 what is in the box"]
    assert [understand(text).may_be_english for text in queries] == [False, True, True, True]


def test_of_two_storages_the_one_nearer_the_query_comes_first() -> None:
    far = ranked(columns(2, lexical=[1, 2], cosine=[0.1, 0.3]))
    near = ranked(columns(2, lexical=[1, 0], cosine=[0.7, 0.2]), tier="archival")
    unknown = ranked(columns(1, lexical=[1], cosine=[np.nan]), tier="archival")
    assert near.merged(far)[0].tier == far.merged(near)[0].tier == "archival"
    assert [hit.score for hit in far.merged(near)] == sorted(
        (h.score for h in near.merged(far)), reverse=True
    )
    assert np.isnan(unknown.evidence)
    assert far.merged(unknown)[0].tier == "recall", (
        "by score: without vectors nothing speaks against a storage"
    )
    assert NOTHING.merged(near)[0] == near.merged(NOTHING)[0] == near[0]


def test_long_texts_are_cut_into_overlapping_windows_after_the_title() -> None:
    words = [f"word{n:04d}" for n in range(300)]  # 2700 characters
    cut = windows(" ".join(words), "Words")
    assert all(window.startswith("Words. word") and len(window) < 820 for window in cut)
    assert cut[1].split()[1] in cut[0]
    assert {word for window in cut for word in window.split()[1:]} >= set(words)
    assert [len(window) for window in windows("字" * 500)] == [200, 200, 200]
    assert windows("short") == ["short"]
    assert windows("") == [""]


@given(st.text(alphabet="ab 字\n", max_size=5000))
def test_windows_leave_nothing_out_and_end(text: str) -> None:
    cut = windows(text)
    joined = cut[0]
    for window in cut[1:]:
        common = max(n for n in range(len(window) + 1) if joined.endswith(window[:n]))
        joined += window[common:]
    assert len(joined) <= len(text)
    assert all(window in text for window in cut)
    assert text.endswith(cut[-1])
