"""Retries and fallback models: the order of requests, the notices, and the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import anyio
import pytest

from pagefault.errors import (
    ContextLengthExceeded,
    ModelError,
    ModelSetupError,
    ModelUnavailable,
    ModelUnreachable,
)
from pagefault.models import Completion, Delta, Notice, Prompt, PromptMessage, StreamItem
from pagefault.models.wrappers.limiter import Pace
from pagefault.models.wrappers.retrying import RetryingModel

PROMPT = Prompt((PromptMessage("system", "Be brief."), PromptMessage("user", "Hello")), (), 100)
DOWN = ModelUnavailable("big is overloaded.")


@dataclass
class Moody:
    """Answers with what its script says: items, of which an error is raised; then "ok" for ever."""

    name: str = "big"
    window: int = 8192
    script: list[Sequence[StreamItem | Exception]] = field(
        default_factory=list[Sequence[StreamItem | Exception]]
    )
    asked: int = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:  # noqa: ARG002
        self.asked += 1
        for item in self.script.pop(0) if self.script else [Delta("ok"), Completion("ok")]:
            if isinstance(item, Exception):
                raise item
            yield item


@dataclass
class Silent(Moody):
    """Never answers."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:  # noqa: ARG002
        self.asked += 1
        await anyio.sleep_forever()
        yield Completion("never")


def patient(*models: Moody, budget: float = 60.0) -> RetryingModel:
    return RetryingModel(models, budget=budget, tries=3, delay=0.001)


async def answer(model: RetryingModel) -> list[StreamItem]:
    return [item async for item in model.stream(PROMPT)]


def asked(model: RetryingModel) -> list[StreamItem]:
    return anyio.run(answer, model)


def failing(name: str, *errors: Exception) -> Moody:
    return Moody(name, script=[[error] for error in errors])


def test_what_works_is_passed_on_as_it_is() -> None:
    assert asked(patient(Moody())) == [Delta("ok"), Completion("ok", model="big")]


def test_a_model_that_is_unavailable_is_asked_again_and_the_person_is_told() -> None:
    big = Moody(script=[[DOWN], [Delta("half an ans"), ModelUnavailable("big was cut off.")]])
    items = asked(patient(big))
    assert [type(item) for item in items] == [Notice, Delta, Notice, Delta, Completion]
    notices = [item for item in items if isinstance(item, Notice)]
    assert all(notice.restart for notice in notices)
    assert notices[0].text == "big is overloaded. (again in 0.0 s, for 60 s more at most)"
    assert items[-1] == Completion("ok", model="big")


def test_the_time_rules_and_not_a_count_of_tries() -> None:
    big = failing("big", *[DOWN] * 20)
    assert asked(RetryingModel([big], pace=Pace(2000.0)))[-1] == Completion("ok", model="big")
    assert big.asked == 21


def test_when_the_time_is_spent_the_error_is_raised() -> None:
    big = failing("big", *[DOWN] * 10_000)
    with pytest.raises(ModelUnavailable, match=r"big is overloaded\."):
        asked(RetryingModel([big], budget=600.0, pace=Pace(2000.0), jitter=lambda: 0.0))
    assert 20 < big.asked < 60  # after 1, 2, 4, 8, 16, 20, 20 ... seconds


@pytest.mark.parametrize("error", [ModelSetupError("The key is wrong."), ModelError("A filter withheld it.")])
def test_what_retrying_cannot_mend_is_not_retried(error: ModelError) -> None:
    big = failing("big", error)
    with pytest.raises(type(error)):
        asked(patient(big))
    assert big.asked == 1


def test_another_model_takes_over_after_repeated_failures_and_says_so() -> None:
    big, small = failing("big", *[DOWN] * 9), Moody("small")
    items = asked(patient(big, small))
    assert big.asked == 3
    assert items[-3] == Notice("big is overloaded. small takes over.", restart=True)
    end = items[-1]
    assert isinstance(end, Completion)
    assert end.model == "small"
    assert end.notes == ("big is overloaded. small took over.",)


def test_a_wrong_key_gives_way_to_the_next_model_at_once() -> None:
    big, small = failing("big", ModelSetupError("The key is wrong.")), Moody("small")
    assert isinstance(asked(patient(big, small))[-1], Completion)
    assert (big.asked, small.asked) == (1, 1)


def test_a_model_that_failed_rests_while_another_answers() -> None:
    async def run() -> tuple[int, int]:
        big, small = failing("big", *[DOWN] * 3), Moody("small")
        model = patient(big, small)
        for _ in range(4):
            await answer(model)
        return big.asked, small.asked

    assert anyio.run(run) == (3, 4)


def test_when_all_fail_all_are_asked_again_in_turn() -> None:
    big, small = failing("big", *[DOWN] * 9), failing("small", *[ModelUnavailable("small is down.")] * 9)
    model = patient(big, small)
    end = asked(model)[-1]
    assert isinstance(end, Completion)
    assert (big.asked, small.asked, end.model) == (10, 9, "big")
    assert end.notes == ("big is overloaded. big took over.", "small is down. big took over.")


def test_a_prompt_that_is_too_long_is_the_agents_business() -> None:
    big, small = failing("big", ContextLengthExceeded("too long")), Moody("small")
    with pytest.raises(ContextLengthExceeded):
        asked(patient(big, small))
    assert small.asked == 0


def test_the_window_is_that_of_the_smallest_model() -> None:
    model = patient(Moody("big", 100_000), Moody("small", 8000))
    assert (model.window, model.name) == (8000, "big, small")


def test_a_server_that_asks_for_time_gets_it_unless_the_budget_is_shorter() -> None:
    async def run() -> float:
        began = anyio.current_time()
        with pytest.raises(ModelUnavailable):
            await answer(patient(failing("big", ModelUnavailable("busy", 3600)), budget=30))
        return anyio.current_time() - began

    assert anyio.run(run) < 10
    big = failing("big", ModelUnavailable("busy.", 0.2))
    notice = asked(patient(big))[0]
    assert isinstance(notice, Notice)
    assert "again in 0.2 s" in notice.text


def test_the_budget_ends_an_answer_that_never_comes() -> None:
    silent = Silent("slow")
    with pytest.raises(ModelUnavailable, match=r"slow gave no whole answer in its share of 0\.1 s"):
        asked(patient(silent, budget=0.1))
    assert silent.asked == 1


def test_one_that_hangs_leaves_time_for_the_others() -> None:
    end = asked(patient(Silent("slow"), Moody("small"), budget=0.2))[-1]
    assert isinstance(end, Completion)
    assert end.model == "small"


def test_it_can_be_left_in_the_middle() -> None:
    async def run() -> None:
        model = patient(Moody())
        async with aclosing(model.stream(PROMPT)) as items:
            assert await anext(aiter(items)) == Delta("ok")
        assert (await answer(model))[-1] == Completion("ok", model="big")

    anyio.run(run)


def test_notices_say_when_no_model_has_a_connection() -> None:
    away = ModelUnreachable("It cannot be reached.")

    def flags(*models: Moody) -> list[bool]:
        return [item.unreachable for item in asked(patient(*models)) if isinstance(item, Notice)]

    assert flags(Moody(script=[[away], [DOWN], [away]])) == [True, False, True]
    first, second = Moody(script=[[away]] * 4), Moody("small", script=[[away]])
    assert flags(first, second)[:4] == [False] * 3 + [True]
    first, second = Moody(script=[[away]] * 3), Moody("small", script=[[DOWN]])
    assert not any(flags(first, second))
