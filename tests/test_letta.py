"""Letta's client, unchanged, against a real server: its quick start, and every route that it has here."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio.to_thread
import pytest
from letta_client import APIStatusError, ConflictError, Letta, NotFoundError

from agent_file_schema import faults_of
from conftest import Machine, Served, served
from letta_samples import SECRET, agent, block, message, text, v2
from pagefault import tool
from pagefault.testing.models import Item, ScriptedModel, call, say

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),  # of its own methods, says the client
]

BLOCKS: Any = [
    {"label": "human", "value": "The human's name is Chad. They like vibe coding."},
    {"label": "persona", "value": "My name is Sam, a helpful assistant."},
]


@asynccontextmanager
async def letta(
    machine: Machine, *script: Item, tools: Sequence[Callable[..., Any]] = (), model: Any = None
) -> AsyncGenerator[tuple[Letta, Served]]:
    """A client of Letta's for a server over a kernel whose model says what is scripted."""
    model = model or ScriptedModel(list(script))
    async with (
        machine.open(model, tools=tuple(tools)) as rig,
        served(rig.kernel) as server,
        server.live() as url,
    ):
        with Letta(base_url=url, api_key="any", max_retries=0) as client:
            yield client, server


async def using(work: Callable[[], Any]) -> Any:
    """Run what a script does with its client, in a thread as the client blocks."""
    return await anyio.to_thread.run_sync(work)


def stream(client: Letta, agent_id: str, **body: Any) -> Any:
    """The stream of the method that the client calls deprecated, and examples use."""
    return cast("Any", client.agents.messages).stream(agent_id, **body)


def types(messages: Any) -> list[str]:
    return [message.message_type for message in messages]


async def test_the_quick_start_of_letta_runs_unchanged(machine: Machine) -> None:
    def quick_start(client: Letta) -> None:
        agent_state = client.agents.create(
            model="openai/gpt-4o-mini",
            embedding="openai/text-embedding-3-small",
            memory_blocks=BLOCKS,
            tools=["web_search", "run_code"],
        )
        assert agent_state.id.startswith("agent-")
        assert [(b.label, b.value) for b in agent_state.blocks] == [(b["label"], b["value"]) for b in BLOCKS]
        response = client.agents.messages.create(
            agent_id=agent_state.id,
            messages=[{"role": "user", "content": "Hey, nice to meet you, my name is Brad."}],
        )
        (message,) = response.messages
        assert (message.message_type, cast("Any", message).content) == ("assistant_message", "Hi Brad!")
        assert response.stop_reason.stop_reason == "end_turn"
        assert response.usage.step_count == 1
        assert response.usage.total_tokens
        notices = cast("Any", agent_state).notices
        assert notices == ["There are no tools web_search, run_code here; they are left out."]

    async with letta(machine, [say("Hi Brad!")]) as (client, _):
        await using(lambda: quick_start(client))


async def test_agents_are_made_listed_changed_and_deleted(machine: Machine) -> None:
    def script(client: Letta) -> None:
        made = [
            client.agents.create(name=f"My agent {n}", tags=["a", f"n{n}"], memory_blocks=BLOCKS)
            for n in range(5)
        ]
        again = client.agents.create(
            name="My agent 0", metadata={"user": 7}, description="d", system="Be short."
        )
        assert again.name == "My-agent-0-2"
        assert (again.metadata, again.description, again.system) == ({"user": 7}, "d", "Be short.")
        ids = [agent.id for agent in client.agents.list(limit=2)]  # the client asks until a page is empty
        assert len(ids) == len(set(ids)) == 7
        assert ids[:6] == [again.id, *(agent.id for agent in reversed(made))]
        assert [a.id for a in client.agents.list(limit=2, order="asc")] == ids[::-1]
        assert [a.id for a in client.agents.list(name="My agent 3")] == [made[3].id]
        assert [a.id for a in client.agents.list(tags=["n1", "n2"], order="asc")] == [made[1].id, made[2].id]
        assert not list(client.agents.list(tags=["n1", "n2"], match_all_tags=True))
        assert client.tags.list() == ["a", "n0", "n1", "n2", "n3", "n4"]
        changed = client.agents.update(
            again.id,
            name="other",
            tags=["x"],
            timezone="Asia/Tokyo",
            system="Be long.",
            context_window_limit=16_384,
        )
        assert (changed.id, changed.name, changed.tags, changed.timezone) == (
            again.id,
            "other",
            ["x"],
            "Asia/Tokyo",
        )
        assert (changed.metadata, changed.llm_config.context_window) == ({"user": 7}, 16_384)
        assert client.agents.retrieve(again.id).system == "Be long."
        client.agents.delete(again.id)
        with pytest.raises(NotFoundError, match="There is no agent"):
            client.agents.retrieve(again.id)
        assert client.agents.create(name="My agent 0").id != again.id  # no id comes back

    async with letta(machine) as (client, _):
        await using(lambda: script(client))


async def test_messages_stream_whole_and_in_pieces(machine: Machine) -> None:
    def turn() -> Item:
        return [call("working_context_append", heartbeat=True, section="human", text="Likes tea.")]

    script = [turn(), [say("Noted, tea it is.")]] * 3

    def run(client: Letta) -> None:
        agent = client.agents.create(memory_blocks=BLOCKS)
        whole = client.agents.messages.create(agent.id, input="I like tea.")
        expected = ["tool_call_message", "tool_return_message", "assistant_message"]
        assert types(whole.messages) == expected
        called, returned, _ = cast("list[Any]", whole.messages)
        assert called.tool_call.name == "working_context_append"
        assert called.tool_call.tool_call_id == returned.tool_call_id
        assert (returned.status, returned.tool_returns[0].tool_return) == ("success", returned.tool_return)

        ends = ["stop_reason", "usage_statistics"]
        streamed = list(stream(client, agent.id, input="I like tea."))
        assert types(streamed) == expected + ends
        assert streamed[-2].stop_reason == "end_turn"
        assert streamed[-1].step_count == 2

        found = client.agents.messages.create(
            agent.id, input="I like tea.", streaming=True, stream_tokens=True
        )
        pieces = list(cast("Any", found))
        speech = [each for each in pieces if each.message_type == "assistant_message"]
        assert len(speech) > 1
        assert "".join(each.content for each in speech) == "Noted, tea it is."
        assert len({each.id for each in speech}) == 1
        assert types(pieces)[:2] == expected[:2]

        listed = list(client.agents.messages.list(agent.id, limit=2, order="asc"))
        assert types(listed) == ["user_message", *expected] * 3
        assert [m.id for m in client.agents.messages.list(agent.id, limit=3)] == [
            m.id for m in reversed(listed)
        ]
        assert [m.id for m in whole.messages] == [m.id for m in listed[1:4]]
        before = client.agents.messages.list(agent.id, before=listed[4].id, limit=2, order="asc")
        assert [m.id for m in before.items] == [m.id for m in listed[2:4]]
        only = client.agents.messages.list(agent.id, include_return_message_types=["user_message"])
        assert len(list(only)) == 3

    async with letta(machine, *script) as (client, _):
        await using(lambda: run(client))


async def test_blocks_are_sections_and_shared_sections(machine: Machine) -> None:
    def run(client: Letta) -> None:
        agent, other = (client.agents.create(memory_blocks=BLOCKS) for _ in range(2))
        blocks = client.agents.blocks
        assert [b.label for b in blocks.list(agent.id)] == ["human", "persona"]
        human = blocks.update("human", agent_id=agent.id, value="Ana.", description="who she is", limit=4000)
        assert (human.value, human.description, human.limit) == ("Ana.", "who she is", 4000)
        assert blocks.retrieve("human", agent_id=agent.id).value == "Ana."
        assert client.blocks.retrieve(str(human.id)).value == "Ana."
        with pytest.raises(NotFoundError, match="has no block nothing; it has human, persona"):
            blocks.retrieve("nothing", agent_id=agent.id)

        shared = client.blocks.create(label="Organization Facts", value="We sell tea.", limit=2000)
        assert (shared.label, shared.limit) == ("organization_facts", 2000)
        second = client.blocks.create(label="organization_facts", value="Others.")
        assert second.label == "organization_facts_2"
        for each in (agent, other):
            blocks.attach(shared.id, agent_id=each.id)
        client.blocks.update(shared.id, value="We sell tea and cups.")
        for each in (agent, other):
            found = blocks.retrieve("organization_facts", agent_id=each.id)
            assert (found.id, found.value) == (shared.id, "We sell tea and cups.")
        blocks.update("Organization Facts", agent_id=other.id, value="Cups alone.")
        assert client.blocks.retrieve(shared.id).value == "Cups alone."
        assert {a.id for a in client.blocks.agents.list(shared.id)} == {agent.id, other.id}
        assert len(list(client.blocks.list(label="human", limit=1))) == 3
        assert [b.id for b in client.blocks.list(label_search="organ", order="asc")] == [shared.id, second.id]
        blocks.detach(shared.id, agent_id=other.id)
        assert [b.label for b in blocks.list(other.id)] == ["human", "persona"]
        client.blocks.delete(shared.id)
        with pytest.raises(NotFoundError):
            client.blocks.retrieve(shared.id)
        third = client.agents.create(block_ids=[second.id])
        assert [b.label for b in third.blocks] == ["organization_facts_2"]
        assert blocks.retrieve("organization_facts", agent_id=third.id).id == second.id

    async with letta(machine) as (client, _):
        await using(lambda: run(client))


async def test_archival_memory_is_archival_storage(machine: Machine) -> None:
    def run(client: Letta) -> None:
        agent = client.agents.create()
        passages = client.agents.passages
        made = [
            passages.create(agent.id, text=text, tags=tags, created_at="2026-01-02T03:04:05Z")[0]
            for text, tags in (
                ("The cat is called Mia.", ["pet"]),
                ("The dog is Rex.", ["pet", "dog"]),
                ("Tea.", []),
            )
        ]
        assert made[0].created_at is not None
        assert made[0].created_at.isoformat() == "2026-01-02T03:04:05+00:00"
        assert [p.text for p in passages.list(agent.id)] == [
            "The cat is called Mia.",
            "The dog is Rex.",
            "Tea.",
        ]
        page = passages.list(agent.id, after=made[0].id, limit=1)
        assert [p.id for p in page] == [made[1].id]
        found = passages.search(agent.id, query="cat", top_k=1)
        assert (found.count, found.results[0].id, found.results[0].content) == (1, made[0].id, made[0].text)
        assert found.results[0].tags == ["pet"]
        pets = passages.search(agent.id, query="", tags=["dog", "pet"], tag_match_mode="any")
        assert {each.id for each in pets.results} == {made[0].id, made[1].id}
        both = passages.search(agent.id, query="", tags=["dog", "pet"], tag_match_mode="all")
        assert [each.id for each in both.results] == [made[1].id]
        assert passages.search(agent.id, query="", start_datetime="2026-02-01T00:00:00Z").count == 0
        passages.delete(cast("str", made[0].id), agent_id=agent.id)
        assert [p.text for p in passages.list(agent.id)] == ["The dog is Rex.", "Tea."]

        archive = client.archives.create(name="Manuals", description="of machines")
        stored = client.archives.passages.create(archive.id, text="Press the red button.")
        client.agents.archives.attach(archive.id, agent_id=agent.id)
        assert passages.search(agent.id, query="red button").results[0].id == stored.id
        assert [a.id for a in client.archives.list(agent_id=agent.id)] == [archive.id]
        hits = client.passages.search(query="button", archive_id=archive.id)
        assert [hit.passage.text for hit in hits] == ["Press the red button."]
        client.agents.archives.detach(archive.id, agent_id=agent.id)
        assert passages.search(agent.id, query="red button").count == 0
        client.archives.passages.delete(cast("str", stored.id), archive_id=archive.id)
        assert client.archives.update(archive.id, name="books").name == "books"
        client.archives.delete(archive.id)
        assert not list(client.archives.list())

    async with letta(machine) as (client, _):
        await using(lambda: run(client))


async def test_folders_are_archives_of_documents(machine: Machine) -> None:
    def run(client: Letta) -> None:
        agent = client.agents.create()
        folder = client.folders.create(name="My manuals")
        assert folder.name == "My-manuals"
        text = b"# Tea machine\n\nPress the red button to make tea."
        files = client.folders.files
        file = files.upload(folder.id, file=("tea.md", text))
        assert (file.file_name, file.processing_status) == ("tea.md", "completed")
        assert files.upload(folder.id, file=("tea.md", text)).file_name == "tea_(1).md"
        assert files.upload(folder.id, file=("tea.md", text), duplicate_handling="skip").id == file.id
        with pytest.raises(ConflictError, match="There is a file"):
            files.upload(folder.id, file=("tea.md", text), duplicate_handling="error")
        changed = files.upload(
            folder.id, file=("tea.md", text + b" Then wait."), duplicate_handling="replace"
        )
        assert changed.id == file.id
        content = files.retrieve(file.id, folder_id=folder.id, include_content=True).content
        assert "Then wait." in cast("str", content)
        client.agents.folders.attach(folder.id, agent_id=agent.id)
        assert [f.id for f in client.agents.folders.list(agent.id)] == [folder.id]
        assert client.folders.agents.list(folder.id) == [agent.id]
        assert len(list(client.agents.files.list(agent.id))) == 2
        assert client.agents.passages.search(agent.id, query="red button").count
        assert not client.agents.passages.list(agent.id)
        files.delete(file.id, folder_id=folder.id)
        assert [f.file_name for f in files.list(folder.id)] == ["tea_(1).md"]
        client.agents.folders.detach(folder.id, agent_id=agent.id)
        client.folders.delete(folder.id)
        assert not list(client.folders.list())

    async with letta(machine) as (client, _):
        await using(lambda: run(client))


async def test_approval_messages_are_decisions_on_calls(machine: Machine) -> None:
    sent = list[str]()

    @tool(approval=True)
    def send_mail(to: str) -> str:
        """Send a mail."""
        sent.append(to)
        return f"sent to {to}"

    asks = [call("send_mail", heartbeat=True, to="bo"), call("send_mail", heartbeat=True, to="cy")]
    script = [asks, [say("Half of it.")], [call("send_mail", heartbeat=True, to="di")], [say("Sent.")]]

    def run(client: Letta) -> None:
        agent = client.agents.create()
        messages = client.agents.messages
        first = messages.create(agent.id, input="Mail both.")
        (request,) = cast("list[Any]", first.messages)
        assert request.message_type == "approval_request_message"
        assert first.stop_reason.stop_reason == "requires_approval"
        calls = request.tool_calls
        assert [each.arguments for each in calls] == ['{"to": "bo"}', '{"to": "cy"}']
        pending = client.agents.retrieve(agent.id).pending_approval
        assert pending is not None
        assert pending.id == request.id
        with pytest.raises(ConflictError, match="waits for a decision"):
            messages.create(agent.id, input="Hello?")
        with pytest.raises(APIStatusError, match="No call nothing waits"):
            decide(messages, agent.id, ("nothing", True, ""))
        answer = decide(
            messages, agent.id, (calls[0].tool_call_id, True, ""), (calls[1].tool_call_id, False, "no")
        )
        assert sent == ["bo"]
        assert types(answer.messages)[-1] == "assistant_message"
        returned = [each for each in answer.messages if each.message_type == "tool_return_message"]
        assert [each.status for each in returned] == ["success", "error"]

        streamed: list[Any] = list(stream(client, agent.id, input="Mail Di."))
        assert types(streamed) == ["approval_request_message", "stop_reason", "usage_statistics"]
        old: Any = [{"type": "approval", "approve": True, "approval_request_id": streamed[0].id}]
        assert types(list(stream(client, agent.id, messages=old)))[-3] == "assistant_message"
        assert sent == ["bo", "di"]
        listed = types(list(messages.list(agent.id, order="asc", limit=2)))
        assert listed.count("approval_response_message") == 3
        assert listed.count("approval_request_message") == 0

    def decide(messages: Any, agent: str, *decisions: tuple[str, bool, str]) -> Any:
        approvals = [{"tool_call_id": id, "approve": yes, "reason": why} for id, yes, why in decisions]
        return messages.create(agent, messages=[{"type": "approval", "approvals": approvals}])

    async with letta(machine, *script, tools=[send_mail]) as (client, _):
        await using(lambda: run(client))


async def test_tools_are_those_of_the_program(machine: Machine) -> None:
    @tool
    def weather(city: str) -> str:
        """Say what the weather is."""
        return f"rain in {city}"

    @tool
    def clock() -> str:
        """Say what time it is."""
        return "noon"

    def run(client: Letta) -> None:
        names = {each.name: each.id for each in client.tools.list()}
        assert list(names) == ["weather", "clock"]
        agent = client.agents.create(tools=["weather", "core_memory_append"])
        assert [each.name for each in client.agents.tools.list(agent.id)] == ["weather"]
        assert not hasattr(agent, "notices")
        client.agents.tools.attach(names["clock"], agent_id=agent.id)
        client.agents.tools.detach(names["weather"], agent_id=agent.id)
        state: Any = client.agents.tools.update_approval(
            "clock", agent_id=agent.id, body_requires_approval=True
        )
        assert [(t.name, t.default_requires_approval) for t in state.tools] == [("clock", True)]
        assert client.tools.retrieve(names["clock"]).description == "Say what time it is."
        with pytest.raises(APIStatusError, match="functions of the program") as refused:
            client.tools.create(source_code="def f(): ...")
        assert refused.value.status_code == 501

    async with letta(machine, tools=[weather, clock]) as (client, _):
        await using(lambda: run(client))


async def test_a_request_that_is_repeated_with_its_key_is_stored_once(machine: Machine) -> None:
    def run(client: Letta) -> None:
        agent = client.agents.create()
        create, headers = client.agents.messages.create, {"Idempotency-Key": "k1"}
        first, again = (create(agent.id, input="Hi.", extra_headers=headers).messages[-1] for _ in "ab")
        assert first.model_dump() == again.model_dump()
        streamed: Any = create(agent.id, input="Hi.", streaming=True, extra_headers=headers)
        assert next(iter(streamed)).id == first.model_dump()["id"]
        run = client.agents.messages.create_async(agent.id, input="Hi.", extra_headers=headers)
        assert run.id == first.run_id
        with pytest.raises(APIStatusError, match="used for another event"):
            create(agent.id, input="Ho.", extra_headers={"X-Idempotency-Key": "k1"})
        two: Any = [{"role": "system", "content": "It rains."}, {"role": "user", "content": "So?"}]
        for _ in range(2):
            create(agent.id, messages=two, extra_headers={"Idempotency-Key": "k2"})
        users = [
            each for each in client.agents.messages.list(agent.id) if each.message_type == "user_message"
        ]
        assert len(users) == 2

    async with letta(machine) as (client, _):
        await using(lambda: run(client))


async def test_runs_in_the_background_cancelling_and_flushing(machine: Machine) -> None:
    def run(client: Letta) -> None:
        agent = client.agents.create()
        first, other = ({"role": "user", "content": text, "otid": "once"} for text in ("Hi.", "Ho."))
        started = client.agents.messages.create_async(agent.id, messages=cast("Any", [first]))
        again = client.agents.messages.create_async(agent.id, messages=cast("Any", [first]))
        assert again.id == started.id
        with pytest.raises(APIStatusError, match="used for another event"):
            client.agents.messages.create_async(agent.id, messages=cast("Any", [other]))
        streamed: list[Any] = list(client.runs.messages.stream(started.id))
        assert types(streamed) == ["assistant_message", "stop_reason", "usage_statistics"]
        after = streamed[0].seq_id
        assert (
            types(list(client.runs.messages.stream(started.id, starting_after=after))) == types(streamed)[1:]
        )
        done = client.runs.retrieve(started.id)
        assert (done.status, done.stop_reason, done.agent_id) == ("completed", "end_turn", agent.id)
        assert types(list(client.runs.messages.list(started.id, order="asc"))) == [
            "user_message",
            "assistant_message",
        ]
        assert client.runs.usage.retrieve(started.id).total_tokens
        assert [each.id for each in client.runs.list(agent_id=agent.id)] == [started.id]
        with pytest.raises(ConflictError, match="in no turn"):
            client.agents.messages.cancel(agent.id)
        client.agents.messages.create(agent.id, input="Hi again.")
        reset: Any = client.agents.messages.reset(agent.id)
        assert "the log keeps them" in reset.notices[0]
        assert "Hi again." not in client.agents.recompile(agent.id)
        assert types(list(client.agents.messages.list(agent.id)))[0] == "summary_message"
        assert client.agents.messages.compact(agent.id).num_messages_after == 0

    async with letta(machine, [say("Hello.")], [say("Yes?")]) as (client, _):
        await using(lambda: run(client))


def sample(**more: Any) -> bytes:
    talk = [message(1, "user", text("My dog is Bruno.")), message(2, "assistant", text("A fine name!"))]
    blocks = (block(0, "system/human", "Dog: Bruno"),)
    return json.dumps(v2(agent(block_ids=["block-0"], messages=talk), blocks=blocks, **more)).encode()


async def test_agent_files_are_imported_and_exported(machine: Machine) -> None:
    def run(client: Letta) -> None:
        answer: Any = client.agents.import_file(file=("tern.af", sample()))
        (id,) = answer.agent_ids
        made = client.agents.retrieve(id)
        assert (made.name, made.timezone, made.system) == ("tern_copy", "Europe/Lisbon", "")
        assert [(each.label, each.value) for each in made.blocks] == [("system_human", "Dog: Bruno")]
        said = list(client.agents.messages.list(id, order="asc"))
        assert types(said) == [
            "user_message",
            "assistant_message",
        ]
        assert any("instructions" in each for each in answer.notices)  # no request is trusted
        assert any("look_at_tides" in each for each in answer.notices)
        assert SECRET not in str(answer.notices)
        (again,) = client.agents.import_file(file=sample(), append_copy_suffix=False).agent_ids
        assert client.agents.retrieve(again).name == "tern"
        (named,) = client.agents.import_file(file=sample(), name="My tern", strip_messages=True).agent_ids
        assert client.agents.retrieve(named).name == "My-tern"
        assert not list(client.agents.messages.list(named))
        (third,) = client.agents.import_file(file=sample(), name="My tern").agent_ids
        assert client.agents.retrieve(third).name == "My-tern-2"  # none is imported into another
        helper = {"agent_ids": ["agent-1"], "manager_config": {"manager_type": "sleeptime"}}
        value = json.loads(sample(groups=[helper]))
        value["agents"].insert(0, agent(1, "helper"))
        both = client.agents.import_file(file=json.dumps(json.dumps(value)).encode(), name="two").agent_ids
        assert [client.agents.retrieve(each).name for each in both] == ["two", "two-helper"]

        written = client.agents.export_file(id)
        assert not faults_of(json.loads(written))
        (back,) = client.agents.import_file(file=written.encode(), name="back").agent_ids
        first, second = (list(client.agents.messages.list(each, order="asc")) for each in (id, back))
        assert [(m.message_type, m.date) for m in first] == [(m.message_type, m.date) for m in second]
        scrubbed = json.loads(client.agents.export_file(id, scrub_messages=True))
        assert len(scrubbed["agents"][0]["messages"]) == 1

    async with letta(machine) as (client, _):
        await using(lambda: run(client))


async def test_a_file_that_is_none_is_refused_and_leaves_nothing(machine: Machine) -> None:
    def run(client: Letta) -> None:
        for data in (b"", b"{}", b"not json", b'{"agents": [7], "blocks": []}', sample()[:-9], b"\xff" * 9):
            with pytest.raises(APIStatusError) as refused:
                client.agents.import_file(file=data)
            assert refused.value.status_code in (400, 422), refused.value
            assert cast("dict[str, str]", refused.value.body)["detail"].endswith(".")
        with pytest.raises(APIStatusError) as legacy:
            client.agents.export_file(client.agents.create().id, use_legacy_format=True)
        assert legacy.value.status_code == 400
        assert len(list(client.agents.list())) == 2  # ana, and the one made above

    async with letta(machine) as (client, _):
        await using(lambda: run(client))


async def test_what_is_not_here_is_refused_with_a_sentence(machine: Machine) -> None:
    def run(client: Letta) -> None:
        agent = client.agents.create()
        tries: list[Callable[[], Any]] = [
            lambda: client.templates.create(type="agent", agent_id=agent.id),
            lambda: client.conversations.list(agent_id=agent.id),
            lambda: client.mcp_servers.list(),
            lambda: client.agents.messages.create(agent.id, input="Hi", client_tools=[{"name": "f"}]),
            lambda: client.agents.messages.create(agent.id, input="Hi", override_model="openai/gpt-5"),
            lambda: client.agents.messages.create(
                agent.id,
                input=[{"type": "image", "source": {"type": "letta", "file_id": "file-1"}}],
            ),
        ]
        for attempt in tries:
            with pytest.raises(APIStatusError) as refused:
                attempt()
            assert refused.value.status_code == 501, refused.value
            detail = cast("dict[str, str]", refused.value.body)["detail"]
            assert detail.endswith(".")

    async with letta(machine) as (client, _):
        await using(lambda: run(client))
