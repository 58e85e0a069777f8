"""The Responses protocol as a server, as the client of OpenAI speaks it unchanged."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent

from conftest import Machine, Rig, served
from pagefault.kernel import approvals
from pagefault.models import Completion, Prompt, StreamItem, Usage
from pagefault.server.openai.answers import ClientAnswer
from pagefault.server.openai.ids import answer_id
from pagefault.server.openai.response_events import ResponseEvents, ResponseHead
from pagefault.server.openai.speech import SpeechDelta, SpeechDone
from pagefault.storage.rows import micros, moment
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import AgentId, Event, EventKind, Output
from pagefault.views.reply import Reply

pytestmark = pytest.mark.anyio

LONG = "Hello Ann, it is good to hear from you after all these weeks."


def used(_prompt: Prompt, _completion: Completion) -> Usage:
    return Usage(100, 7, 30, 4, 2)


@asynccontextmanager
async def client_of(rig: Rig) -> AsyncGenerator[AsyncOpenAI]:
    async with (
        served(rig.kernel) as server,
        server.live() as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client,
    ):
        yield client


class HaltingModel(ScriptedModel):
    """Stops in each completion behind its fourth delta until it is told to go on."""

    def __init__(self, script: Sequence[Any]) -> None:
        super().__init__(script)
        self.reached, self.go_on = anyio.Event(), anyio.Event()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        n = 0
        async for item in super().stream(prompt):
            yield item
            n += 1
            if n == 5:
                self.reached.set()
                await self.go_on.wait()


def delta_text(events: list[ResponseStreamEvent]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


async def until_halt(stream: AsyncIterator[ResponseStreamEvent]) -> list[ResponseStreamEvent]:
    """The events up to where the model halts."""
    events = list[ResponseStreamEvent]()
    async for event in stream:
        events.append(event)
        if len(delta_text(events)) >= 8:
            return events
    raise AssertionError("the stream ended")


async def test_a_message_has_a_response(machine: Machine) -> None:
    model = ScriptedModel([[say("Hello Ann."), say("Sit down.")]], usage=used)
    async with machine.open(model) as rig, client_of(rig) as client:
        response = await client.responses.create(
            model="ana", input="Hi, I am Ann.", instructions="Be a pirate.", metadata={"a": "b"}
        )
        assert (response.status, response.output_text) == ("completed", "Hello Ann.Sit down.")
        assert [item.type for item in response.output] == ["message", "message"]
        assert (response.model, response.metadata, response.instructions) == ("ana", {"a": "b"}, None)
        assert response.created_at == machine.clock.now().timestamp()
        assert response.usage
        assert (response.usage.input_tokens, response.usage.output_tokens) == (100, 7)
        assert response.usage.input_tokens_details.cached_tokens == 30
        assert [event.text for event in await rig.events()] == ["Hi, I am Ann."]
        again = await client.responses.retrieve(response.id)
        assert (again.output, again.usage, again.id) == (response.output, response.usage, response.id)


async def test_the_last_item_of_the_input_enters_the_agent(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Yes.")]])) as rig, client_of(rig) as client:
        response = await client.responses.create(
            model="ana",
            conversation="conv_7",
            input=[
                {"role": "user", "content": "First"},
                {"role": "assistant", "content": "Aye"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Second"}]},
            ],
        )
        assert response.conversation
        assert response.conversation.id == "conv_7"
        assert [event.text for event in await rig.events()] == ["Second"]


async def test_a_response_streams_as_the_protocol_says(machine: Machine) -> None:
    model = ScriptedModel([[say(LONG), say("Well?")]], usage=used)
    async with machine.open(model) as rig, client_of(rig) as client:
        stream = await client.responses.create(model="ana", input="Hi", stream=True)
        events = [event async for event in stream]
        kinds = [event.type for event in events if event.type != "response.output_text.delta"]
        item = [
            "response.output_item.added", "response.content_part.added", "response.output_text.done",
            "response.content_part.done", "response.output_item.done",
        ]  # fmt: skip
        assert kinds == ["response.created", "response.in_progress", *item, *item, "response.completed"]
        assert delta_text(events) == LONG + "Well?"
        numbers = [event.sequence_number for event in events]
        assert numbers == sorted(set(numbers))
        assert len(events) > len(kinds) + 4
        last = events[-1]
        assert last.type == "response.completed"
        assert last.response.usage
        assert last.response.usage.total_tokens == 107


async def test_the_clients_own_stream_adds_up(machine: Machine) -> None:
    model = ScriptedModel([[say(LONG), say("Well?")]])
    async with machine.open(model) as rig, client_of(rig) as client:
        async with client.responses.stream(model="ana", input="Hi") as stream:
            response = await stream.get_final_response()
        assert response.output_text == LONG + "Well?"
        async with client.responses.stream(response_id=response.id) as stream:
            assert (await stream.get_final_response()).output == response.output


async def test_a_stream_is_taken_up_in_the_middle_of_a_text(machine: Machine) -> None:
    model = HaltingModel([[say(LONG)], [say("Well?")]])
    async with machine.open(model) as rig, client_of(rig) as client:
        stream = await client.responses.create(model="ana", input="Hi", stream=True)
        seen = await until_halt(aiter(stream))
        await stream.close()  # the connection is lost
        assert seen[0].type == "response.created"
        id, position = seen[0].response.id, seen[-1].sequence_number
        model.go_on.set()
        again = await client.responses.retrieve(id, stream=True, starting_after=position)
        rest = [event async for event in again]
        assert delta_text(seen) + delta_text(rest) == LONG
        assert all(event.sequence_number > position for event in rest)
        assert [event.type for event in rest][-1] == "response.completed"
        assert len(await rig.events()) == 1


async def test_a_stream_is_taken_up_at_another_server(machine: Machine) -> None:
    model = HaltingModel([[say(LONG)]])
    async with machine.open(model) as rig, client_of(rig) as client:
        stream = await client.responses.create(model="ana", input="Hi", stream=True)
        seen = await until_halt(aiter(stream))
        await stream.close()
    assert seen[0].type == "response.created"
    id, position = seen[0].response.id, seen[-1].sequence_number
    async with machine.open(ScriptedModel([[say(LONG)]])) as rig, client_of(rig) as client:
        again = await client.responses.retrieve(id, stream=True, starting_after=position)
        await rig.kernel.recover()
        rest = [event async for event in again]
        assert delta_text(seen) + delta_text(rest) == LONG


async def test_each_place_of_a_stream_can_be_taken_up(machine: Machine) -> None:
    async with (
        machine.open(ScriptedModel([[say("Hello Ann."), say("Well?")]])) as rig,
        client_of(rig) as client,
    ):
        response = await client.responses.create(model="ana", input="Hi")
        whole = [event async for event in await client.responses.retrieve(response.id, stream=True)]
        for after in range(whole[-1].sequence_number):
            again = await client.responses.retrieve(response.id, stream=True, starting_after=after)
            rest = [event async for event in again]
            text = delta_text(rest)
            assert "Hello Ann.Well?".endswith(text)
            kinds = [event.type for event in whole if event.sequence_number > after]
            assert [event.type for event in rest] == kinds
        last = whole[-1].sequence_number
        nothing = await client.responses.retrieve(response.id, stream=True, starting_after=last)
        assert [event async for event in nothing] == []


async def test_a_response_in_the_background(machine: Machine) -> None:
    model = HaltingModel([[say(LONG)]])
    async with machine.open(model) as rig, client_of(rig) as client:
        response = await client.responses.create(model="ana", input="Hi", background=True)
        assert (response.status, response.background, response.output) == ("in_progress", True, [])
        await model.reached.wait()
        assert (await client.responses.retrieve(response.id)).status == "in_progress"
        model.go_on.set()
        await rig.kernel.idle()
        response = await client.responses.retrieve(response.id)
        assert (response.status, response.output_text) == ("completed", LONG)


async def test_a_response_names_its_agent(machine: Machine) -> None:
    model = ScriptedModel([[say("One.")], [say("Two.")]])
    async with machine.open(model) as rig, client_of(rig) as client:
        first = await client.responses.create(model="ana", input="Hi")
        second = await client.responses.create(input="And?", previous_response_id=first.id)
        assert (second.model, second.previous_response_id) == ("ana", first.id)
        with pytest.raises(openai.BadRequestError):
            await client.responses.create(model="bob", input="And?", previous_response_id=first.id)
        agent, event, seal = first.id.removeprefix("resp_").split("_")
        for wrong in (f"resp_{agent}_{int(event) + 1}_{seal}", f"resp_2_{event}_{seal}", "resp_1_1_", "x"):
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(wrong)
            with pytest.raises(openai.NotFoundError):
                await client.responses.create(input="And?", previous_response_id=wrong)
        assert len(await rig.events()) == 2


async def test_a_call_that_waits_is_an_item_and_the_response_goes_on(machine: Machine) -> None:
    def pay(amount: int) -> str:
        """Pay an amount."""
        return f"paid {amount}"

    model = ScriptedModel(
        [[say("One moment.", heartbeat=True), call("pay", amount=3, heartbeat=True)], [say("Paid.")]]
    )
    async with machine.open(model, tools=(pay,), approval=["pay"]) as rig, client_of(rig) as client:
        events = [
            event async for event in await client.responses.create(model="ana", input="Pay", stream=True)
        ]
        last = events[-1]
        assert last.type == "response.completed"
        waiting = last.response.output[-1]
        assert waiting.type == "mcp_approval_request"
        assert (waiting.name, waiting.arguments) == ("pay", '{"amount": 3}')
        decided = approvals.answer(rig.kernel, "ana", waiting.id, approved=True)
        assert [output.type async for output in decided][-1] == "done"
        response = await client.responses.retrieve(last.response.id)
        assert response.output_text == "One moment.Paid."
        again = await client.responses.retrieve(response.id, stream=True, starting_after=last.sequence_number)
        assert delta_text([event async for event in again]) == "Paid."


async def test_what_cannot_be_honoured_is_refused(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, client_of(rig) as client:
        schema: Any = {"format": {"type": "json_schema", "name": "x", "schema": {}}}
        with pytest.raises(openai.BadRequestError, match="plain text"):
            await client.responses.create(model="ana", input="Hi", text=schema)
        with pytest.raises(openai.BadRequestError, match="tools of its own"):
            await client.responses.create(model="ana", input="Hi", tools=[{"type": "web_search"}])
        output: Any = [{"type": "function_call_output", "call_id": "c", "output": "42"}]
        with pytest.raises(openai.BadRequestError, match="no results"):
            await client.responses.create(model="ana", input=output)
        assert await rig.events() == []


# the numbers of events, without a server

HEAD = ResponseHead("resp_1_1_x", "ana", 0)


def played(*steps: SpeechDelta | SpeechDone, after: int = -1) -> list[dict[str, Any]]:
    events = ResponseEvents(HEAD, after)
    said = [Output("said", step.text, 1, 5) for step in steps if isinstance(step, SpeechDone)]
    answer = ClientAnswer(Reply((*said, Output("done", "", 1, 5))))
    made = [*events.begin(), *(event for step in steps for event in events.step(step))]
    return [*made, *events.end(answer, len(said))]


def test_a_text_that_was_taken_back_is_put_right_when_it_is_done() -> None:
    events = played(SpeechDelta(0, "Good mor"), SpeechDone(0, "Hi", None, 5))
    done = [event for event in events if event["type"] == "response.output_text.done"]
    assert [event["text"] for event in done] == ["Hi"]
    taken_up = played(SpeechDone(0, "Hi", "Hi", 5), after=events[4]["sequence_number"])
    assert [event["type"] for event in taken_up][-1] == "response.completed"


def test_a_text_that_is_never_committed_is_closed() -> None:
    events = played(SpeechDone(0, "Hi", "Hi", 5), SpeechDelta(1, "Goo"))
    assert [event["item"]["status"] for event in events if "item" in event] == [
        "in_progress", "completed", "in_progress", "incomplete",
    ]  # fmt: skip
    assert len(events[-1]["response"]["output"]) == 1


def test_an_id_is_the_same_for_an_event_that_was_posted_and_one_that_was_read() -> None:
    at = datetime(2026, 11, 22, 9, 30, 0, 123_457, UTC)
    posted = Event(EventKind.MESSAGE, "Hällo", "k", "Ann", at, 7)
    read = Event("message", "Hällo", "k", "Ann", moment(micros(at)), 7, "done")
    assert answer_id(AgentId(3), posted) == answer_id(AgentId(3), read)
