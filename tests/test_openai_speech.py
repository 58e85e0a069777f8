"""Speech as a client of OpenAI's protocols is shown it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pagefault.server.openai.speech import SpeechDelta, SpeechDone, SpeechReader
from pagefault.types import Output


def delta(text: str, attempt: str = "1.1.1", call: str | None = None, of: str = "said") -> Output:
    data = {"attempt": attempt, "of": of} | ({"call": call} if call is not None else {})
    return Output("delta", text, 1, 4, data=data)


def said(text: str, position: int = 5) -> Output:
    return Output("said", text, 1, position)


def steps(*outputs: Output) -> list[SpeechDelta | SpeechDone]:
    reader = SpeechReader()
    return [step for output in outputs for step in reader.read(output)]


def test_speech_streams_and_its_row_adds_what_is_missing() -> None:
    assert steps(delta("Good ", call="0"), delta("mor", call="0"), said("Good morning.")) == [
        SpeechDelta(0, "Good "),
        SpeechDelta(0, "mor"),
        SpeechDone(0, "Good morning.", "ning.", 5),
    ]


def test_thoughts_and_results_are_not_shown() -> None:
    others = [Output("thought", "hm", 1, 4), Output("returned", "42", 1, 5), Output("alerted", "no", 1, 6)]
    assert steps(delta("hm", of="thought"), delta("hm", of="thinking"), *others) == []


def test_two_texts_of_one_completion_stay_apart() -> None:
    outputs = [delta("One", call="0"), delta("Two", call="1"), said("One", 6), said("Two", 8)]
    assert steps(*outputs) == [
        SpeechDelta(0, "One"),
        SpeechDone(0, "One", "", 6),
        SpeechDone(1, "Two", "Two", 8),
    ]


def test_a_new_attempt_goes_on_where_the_last_one_broke_off() -> None:
    outputs = [
        delta("Good mor"),
        Output("retracted", "", 1, 4, data={"attempt": "1.1.1", "again": True}),
        delta("Good", "1.1.1.2"),
        delta(" morning", "1.1.1.2"),
        said("Good morning"),
    ]
    assert steps(*outputs) == [
        SpeechDelta(0, "Good mor"),
        SpeechDelta(0, "ning"),
        SpeechDone(0, "Good morning", "", 5),
    ]


def test_a_new_attempt_that_says_something_else_waits_for_its_row() -> None:
    outputs = [delta("Good mor"), delta("Hello", "1.1.1.2"), said("Hello there")]
    assert steps(*outputs) == [SpeechDelta(0, "Good mor"), SpeechDone(0, "Hello there", None, 5)]


def test_white_space_around_plain_text_is_not_shown() -> None:
    outputs = [delta("\n Good "), delta("day. "), delta("\n"), said("Good day.")]
    assert steps(*outputs) == [
        SpeechDelta(0, "Good"),
        SpeechDelta(0, " day."),
        SpeechDone(0, "Good day.", "", 5),
    ]


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(1, 5)), min_size=1, max_size=4))
def test_what_is_shown_is_what_is_committed(texts: list[tuple[str, int]]) -> None:
    outputs = [
        delta(text[at : at + size], call=str(number))
        for number, (text, size) in enumerate(texts)
        for at in range(0, len(text), size)
    ] + [said(text, 5 + number) for number, (text, _) in enumerate(texts)]
    shown = [""] * len(texts)
    for step in steps(*outputs):
        shown[step.item] += step.text if isinstance(step, SpeechDelta) else step.rest or ""
    assert shown == [text for text, _ in texts]
