"""The inspector's pages of the main context, the log around a row, turns and usage: content, foreign text."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from html import unescape

import pytest

from conftest import Machine, Rig, Served, served
from hostile_texts import HOSTILE_TEXTS
from pagefault import Event
from pagefault.models import Completion, Usage
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Message, Role
from pagefault.views.context import context_blocks

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}
HTMX = {**HTML, "hx-request": "true"}
ANA = "/agents/ana"


@pytest.fixture
async def rig(machine: Machine) -> AsyncGenerator[Rig]:
    looked = Completion(
        calls=(call("recall_search", query="harbour", heartbeat=True),), usage=Usage(900, 20, 300)
    )
    model = ScriptedModel([looked, [say("By the lighthouse.")], [say("ok")]])
    async with machine.open(model, window=8192, daily_tokens=5000) as rig:
        await rig.send("Where is the harbour?")
        rig.clock.advance(30)
        await rig.send("Thanks")
        yield rig


@pytest.fixture
async def server(rig: Rig) -> AsyncGenerator[Served]:
    async with served(rig.kernel) as server:
        yield server


async def page(server: Served, path: str, headers: dict[str, str] = HTML, status: int = 200) -> str:
    answer = await server.client.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    assert not re.search(r"<[^>]* style=", answer.text)
    return answer.text


async def test_the_map_has_a_tile_for_each_block_with_its_tokens(server: Served, rig: Rig) -> None:
    seen, text = await context_blocks(rig.kernel, "ana"), await page(server, f"{ANA}/context")
    labels = re.findall(r'<a class="tile k-(\w+).*?aria-label="(.*?)"', text)
    assert [kind for kind, _ in labels] == [block.kind for block in seen.blocks if block.tokens]
    assert [int(re.findall(r"(\d+) tokens?$", label)[0]) for _, label in labels] == [
        block.tokens for block in seen.blocks if block.tokens
    ]
    for line in ("line-warn", "line-flush"):
        assert f'<line class="{line}"' in text
    assert f"<strong>{seen.prompt:,}</strong>" in text
    assert f'href="{ANA}/log/m1"' in text


async def test_a_step_is_shown_with_those_beside_it(server: Served) -> None:
    first = await page(server, f"{ANA}/context?at=1")
    assert "Step 1 of 2" in first
    assert f'href="{ANA}/turns/1"' in first
    second = await page(server, f"{ANA}/context?at=3")
    after = re.findall(r'rel="next" data-step="(\d+)"', first)
    assert re.findall(r'data-at="(\d+)"', await page(server, f"{ANA}/context?at={after[0]}")) == after
    assert 'rel="prev" data-step="2"' in await page(server, f"{ANA}/context?at={after[0]}")
    assert "The lines are drawn by the settings as they are now." in second
    assert (await page(server, f"{ANA}/context?at=m3")).replace("at=m3", "at=3") == second
    now = await page(server, f"{ANA}/context")
    assert "as it stands now" in now
    assert 'rel="next"' not in now


async def test_the_part_beside_the_chat_and_its_view_are_parts(server: Served) -> None:
    part = await page(server, f"{ANA}/context", HTMX)
    assert part.lstrip().startswith('<section class="context-part"')
    assert "<html" not in part
    view = await page(server, f"{ANA}/context?view=true&at=2", HTMX)
    assert view.lstrip().startswith('<div class="context-view" data-at="2"')


async def test_a_block_is_read_as_the_prompt_shows_it(server: Served, rig: Rig) -> None:
    blocks = (await context_blocks(rig.kernel, "ana", 2)).blocks
    for index, block in enumerate(blocks):
        text = unescape(await page(server, f"{ANA}/context/blocks/{index}?at=2", HTMX))
        assert block.text[:200] in text
    assert "context has changed" in await page(server, f"{ANA}/context/blocks/999", HTMX, 404)


async def test_the_log_around_a_row_marks_it(server: Served) -> None:
    text = await page(server, f"{ANA}/log/m1")
    assert re.search(r'<li id="m1" class="log-row k-user here" aria-current="true">', text)
    assert f'href="{ANA}/turns/1#m1"' in text
    assert "There is no message m999 in the log." in await page(server, f"{ANA}/log/m999", status=404)
    await page(server, f"{ANA}/log/p1", status=400)


async def test_a_row_of_a_long_log_is_shown_with_its_neighbours_alone(server: Served, rig: Rig) -> None:
    record, at = await rig.kernel.record("ana"), rig.clock.now()
    rows = [Message(Role.USER, f"heard {n}", at) for n in range(400)]
    await rig.kernel.store.write(lambda tx: tx.append(record.id, rows))
    text = await page(server, f"{ANA}/log/m200")
    shown = [int(id) for id in re.findall(r'<li id="m(\d+)"', text)]
    assert shown == list(range(192, 209))
    assert 'rel="prev"' in text
    assert 'rel="next"' in text


async def test_of_a_queue_that_was_never_flushed_the_newest_rows_are_blocks(server: Served, rig: Rig) -> None:
    record, at = await rig.kernel.record("ana"), rig.clock.now()
    rows = [Message(Role.USER, f"heard {n}", at, f"[user] heard {n}", tokens=5) for n in range(2500)]
    await rig.kernel.store.write(lambda tx: tx.append(record.id, rows))
    seen, count = await context_blocks(rig.kernel, "ana"), len((await rig.process()).memory.queue.rows)
    assert len([block for block in seen.blocks if block.id]) == 2000
    assert sum(block.tokens for block in seen.blocks) == seen.prompt
    (older,) = [block for block in seen.blocks if block.kind == "unknown"]
    assert older.tokens > 0
    text = await page(server, f"{ANA}/context")
    assert f"{count - 2000:,} older rows of the queue are shown as one block; the log has them." in text
    assert f"not known {older.name}, {older.tokens} tokens" in text


async def test_a_turn_is_a_flame_of_its_steps(server: Served) -> None:
    text = await page(server, f"{ANA}/turns/1")
    bars = re.findall(r'<a href="#m\d+" class="bar-(\w+)', text)
    assert bars == ["model", "call", "model", "call"]
    assert [int(number) for number in re.findall(r'id="step-(\d+)"', text)] == [1, 2]
    assert "33%" in text  # of 900 tokens, 300 from the cache
    assert f'href="{ANA}/context?at=2"' in text
    listed = await page(server, f"{ANA}/turns")
    assert listed.index(f"{ANA}/turns/2") < listed.index(f"{ANA}/turns/1")
    await page(server, f"{ANA}/turns/99", status=404)


async def test_usage_shows_days_models_and_budgets(server: Served) -> None:
    for path in ("/usage", f"{ANA}/usage?days=7"):
        text = await page(server, path)
        assert '<rect class="u-fresh"' in text
        assert "scripted" in text
        assert "of 5,000 tokens" in text
    assert len(re.findall('class="day"', await page(server, f"{ANA}/usage?days=7"))) == 7
    await page(server, "/usage?days=0", status=422)


async def test_usage_says_of_how_many_agents_it_shows_budgets(server: Served, rig: Rig) -> None:
    ana = await rig.kernel.record("ana")
    for number in range(101):
        await rig.kernel.store.write(lambda tx, n=number: tx.create_agent(replace(ana, name=f"b{n}")))
    text = await page(server, "/usage")
    assert "Of 102 agents, the budgets of the first 100 by name are looked at here" in text
    assert "are looked at here" not in await page(server, f"{ANA}/usage")


async def test_pages_are_there_before_anything_was_said(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        assert "There are no turns yet." in await page(server, f"{ANA}/turns")
        assert "No model was called" in await page(server, f"{ANA}/usage")
        assert 'class="tile k-instructions"' in await page(server, f"{ANA}/context")
        assert "was not asked yet" in await page(server, f"{ANA}/context?at=1", status=404)


async def test_hostile_texts_are_shown_and_none_is_markup(machine: Machine) -> None:
    texts = list(HOSTILE_TEXTS.values())
    async with (
        machine.open(ScriptedModel(lambda _: [say("ok")]), window=128_000) as rig,
        served(rig.kernel) as server,
    ):
        for text in texts:
            await rig.send(Event("message", text))
        pages = [f"{ANA}/context", f"{ANA}/context?at=10", f"{ANA}/turns", f"{ANA}/turns/1", "/usage"]
        rows = [f"{ANA}/log/{row.id}" for row in await rig.log() if row.role is Role.USER]
        blocks = len((await context_blocks(rig.kernel, "ana")).blocks)
        parts = [f"{ANA}/context/blocks/{index}" for index in range(blocks)]
        for path in (*pages, *rows[::3], *parts[-40:]):
            shown = await page(server, path)
            for tag in re.findall(r"<[a-z][^>]*>", shown):
                assert "hostile" not in re.sub(r'aria-label="[^"]*"', "", tag), (path, tag)
            assert "{{" not in shown or "7 * 7" in shown
            assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]", shown)


async def test_another_tenants_agent_has_no_pages(server: Served) -> None:
    for path in ("context", "context/blocks/1", "log/m1", "turns", "turns/1", "usage"):
        await page(server, f"/agents/bob/{path}", status=404)
