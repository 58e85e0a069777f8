"""What comes next in a turn, from its rows alone."""

from __future__ import annotations

from pagefault.agent.turn import Ask, Run, Stop, next_action
from pagefault.message_meta import meta_of
from pagefault.testing.clock import START
from pagefault.types import Message, Role


def row(role: Role, step: int | None = None, call: str | None = None, **flags: bool) -> Message:
    return Message(role, "text", START, completion=step, call_id=call, meta=meta_of(flags))


USER = row(Role.USER)


def test_a_new_event_asks_the_model() -> None:
    assert next_action([USER], "memgpt", 8) == Ask()


def test_calls_run_in_order_and_only_once() -> None:
    first, second = row(Role.CALL, 2, "c2"), row(Role.CALL, 2, "c3")
    assert next_action([USER, first, second], "memgpt", 8) == Run(first)
    assert next_action([USER, first, second, row(Role.RESULT, 2, "c2")], "memgpt", 8) == Run(second)


def test_memgpt_goes_on_after_a_heartbeat_or_a_failure() -> None:
    call = row(Role.CALL, 2, "c2")
    assert next_action([USER, call, row(Role.RESULT, 2, "c2")], "memgpt", 8) == Stop()
    assert next_action([USER, call, row(Role.RESULT, 2, "c2", heartbeat=True)], "memgpt", 8) == Ask()
    assert next_action([USER, call, row(Role.RESULT, 2, "c2", failed=True)], "memgpt", 8) == Ask()


def test_native_goes_on_after_any_call_and_stops_without_one() -> None:
    call = row(Role.CALL, 2, "c2")
    assert next_action([USER, call, row(Role.RESULT, 2, "c2")], "native", 8) == Ask()
    assert next_action([USER, row(Role.ASSISTANT, 2)], "native", 8) == Stop()


def test_only_the_last_completion_counts() -> None:
    earlier = [row(Role.CALL, 2, "c2"), row(Role.RESULT, 2, "c2", heartbeat=True)]
    assert next_action([USER, *earlier, row(Role.THOUGHT, 4)], "memgpt", 8) == Stop()


def test_steps_are_bounded_with_a_clear_alert() -> None:
    step = [row(Role.CALL, 2, "c2"), row(Role.RESULT, 2, "c2", heartbeat=True)]
    action = next_action([USER, *step], "memgpt", 1)
    assert isinstance(action, Stop)
    assert "limit of 1 steps" in action.alert


def test_a_stopped_turn_stays_stopped() -> None:
    rows = [USER, row(Role.CALL, 2, "c2"), row(Role.RESULT, 2, "c2", failed=True), row(Role.ALERT, stop=True)]
    assert next_action(rows, "memgpt", 8) == Stop()
