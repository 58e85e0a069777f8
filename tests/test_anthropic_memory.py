"""Anthropic's memory tool over an agent's memory, run by the SDK's own runner against a local server."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.lib.tools import ToolError

import pagefault
from pagefault.assembly import Parts
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import PagefaultError, UsageError
from pagefault.facade.anthropic_tool import AsyncClaudeMemoryTool, ClaudeMemoryTool
from pagefault.models import Completion
from pagefault.testing.models import call
from pagefault.testing.providers import KEY, ProviderServer

pytestmark = pytest.mark.anyio

Do = Callable[..., str]


@contextmanager
def agent(tmp_path: Path) -> Generator[pagefault.Agent]:
    parts = Parts(embedder=NullEmbedder())
    with pagefault.Agent("ana", home=tmp_path / "home", parts=parts, zone="UTC") as ana:
        yield ana


def refused(do: Do, *arguments: Any) -> str:
    with pytest.raises(PagefaultError) as error:
        do(*arguments)
    return str(error.value)


def turns(*commands: dict[str, Any]) -> list[Completion]:
    return [*(Completion("", (call("memory", **each),)) for each in commands), Completion("Done.")]


COMMANDS = (
    {"command": "view", "path": "/memories"},
    {
        "command": "create",
        "path": "/memories/people/bo.md",
        "file_text": "Bo lives in Porto.\nBo likes tea.\n",
    },
    {"command": "str_replace", "path": "/memories/people/bo.md", "old_str": "tea", "new_str": "coffee"},
    {"command": "view", "path": "/memories/people/bo.md", "view_range": [2, 2]},
    {"command": "rename", "old_path": "/memories/people", "new_path": "/memories/friends"},
    {"command": "view", "path": "/memories/../etc/passwd"},
)
RESULTS = (
    "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items:\n"
    "0B\t/memories\n0B\t/memories/sections/\n0B\t/memories/sections/human\n0B\t/memories/sections/persona",
    "File created successfully at: /memories/people/bo.md",
    "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n"
    "     1\tBo lives in Porto.\n     2\tBo likes coffee.\n     3\t",
    "Here's the content of /memories/people/bo.md with line numbers:\n     2\tBo likes coffee.",
    "Successfully renamed /memories/people to /memories/friends",
    "Path /memories/../etc/passwd would escape /memories directory",
)


def results_of(server: ProviderServer) -> list[str]:
    """The results that the model was given, one in each request but the first."""
    given = [request["messages"][-1]["content"][0] for request in server.requests[1:]]
    assert {block["type"] for block in given} == {"tool_result"}
    return [c if isinstance(c := block["content"], str) else c[0]["text"] for block in given]


ASKED: dict[str, Any] = {
    "model": "claude-opus-4-8", "max_tokens": 1000, "messages": [{"role": "user", "content": "Go on."}],
}  # fmt: skip


def test_the_sdk_runs_it(tmp_path: Path) -> None:
    with agent(tmp_path) as ana, ProviderServer(turns(*COMMANDS)) as server:
        ana.sections.write("persona", "")
        ana.sections.write("human", "")
        with Anthropic(api_key=KEY, base_url=server.root) as client:
            messages: Any = client.beta.messages
            messages.tool_runner(tools=[ClaudeMemoryTool(ana.memory)], **ASKED).until_done()
        assert server.requests[0]["tools"] == [{"type": "memory_20250818", "name": "memory"}]
        assert tuple(results_of(server)) == RESULTS
        (hit,) = ana.search("coffee")
        assert hit.title == "friends/bo.md"  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def test_the_sdk_runs_it_in_asynchronous_code(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        with ProviderServer(turns(*COMMANDS[1:])) as server:
            async with AsyncAnthropic(api_key=KEY, base_url=server.root) as client:
                messages: Any = client.beta.messages
                tool = AsyncClaudeMemoryTool(pf.memory("ana"))
                await messages.tool_runner(tools=[tool], **ASKED).until_done()
            assert tuple(results_of(server)) == RESULTS[1:]


def test_files_are_made_edited_and_deleted_as_the_sdk_words_it(tmp_path: Path) -> None:
    with agent(tmp_path) as ana:
        do = ana.memory.file_command
        do("create", "/memories/a.md", "one\ntwo\ntwo\n")
        assert refused(do, "create", "/memories/a.md", "x") == "File /memories/a.md already exists"
        assert refused(do, "create", "/memories/a.md/b", "x").startswith("/memories/a.md is a file")
        assert refused(do, "str_replace", "/memories/a.md", "two", "x") == (
            "No replacement was performed. Multiple occurrences of old_str `two` in lines: 2, 3. "
            "Please ensure it is unique"
        )
        assert "did not appear verbatim in /memories/a.md" in refused(
            do, "str_replace", "/memories/a.md", "six", "x"
        )
        assert refused(do, "insert", "/memories/a.md", 4, "x") == (
            "Invalid `insert_line` parameter: 4. It should be within the range [0, 3]."
        )
        assert do("insert", "/memories/a.md", 3, "three\n") == "The file /memories/a.md has been edited."
        assert do("insert", "/memories/a.md", 0, "zero") == "The file /memories/a.md has been edited."
        assert [line.split("\t")[1] for line in do("view", "/memories/a.md").splitlines()[1:]] == [
            "zero", "one", "two", "two", "three", "",
        ]  # fmt: skip
        do("create", "/memories/deep/er/b.md", "b")
        listed = do("view", "/memories").splitlines()
        assert [line.split("\t")[1] for line in listed if "/deep" in line] == [
            "/memories/deep/", "/memories/deep/er/",
        ]  # fmt: skip
        assert (
            refused(do, "rename", "/memories/a.md", "/memories/deep")
            == "The destination /memories/deep already exists"
        )
        assert "is inside of" in refused(do, "rename", "/memories/deep", "/memories/deep/x")
        assert do("delete", "/memories/deep") == "Successfully deleted /memories/deep"
        for command, *more in (("view",), ("delete",), ("str_replace", "a", "b"), ("insert", 0, "x")):
            assert "does not exist" in refused(do, command, "/memories/deep/er/b.md", *more)
        assert refused(do, "delete", "/memories") == "Cannot delete the /memories directory itself"
        assert (
            refused(do, "rename", "/memories", "/memories/x")
            == "Cannot rename the /memories directory itself"
        )
        assert refused(do, "str_replace", "/memories", "a", "b") == "The path /memories is not a file."
        assert "is not a command" in refused(do, "clear_all", "/memories")


def test_sections_are_files_that_are_edited_within_their_limits(tmp_path: Path) -> None:
    with agent(tmp_path) as ana:
        do, human = ana.memory.file_command, "/memories/sections/human"
        ana.sections.write("human", "Bo lives in Porto.")
        ana.sections.add("rules", text="Be kind.", read_only=True)
        do("str_replace", human, "Porto", "Lisbon")
        assert ana.sections.read("human").text == "Bo lives in Lisbon."
        assert "tokens; shorten the text" in refused(do, "insert", human, 1, "word " * 5000)
        assert (
            refused(do, "insert", "/memories/sections/rules", 0, "x")
            == "The file /memories/sections/rules is read-only."
        )
        for command, *more in (
            ("delete", human),
            ("rename", human, "/memories/x"),
            ("create", f"{human}2", "x"),
        ):
            assert "the agent's own sections" in refused(do, command, *more)
        assert do("view", human).endswith("     1\tBo lives in Lisbon.")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "memories/a", "/memoriesx", "/memories/../x", "/memories/a/../../x", "/memories/./a",
        "/memories/..\\x", "/memories/a\u202eb", "/memories/a\nb", "/memories/a\x00b", "/memories/#a", "",
        "/memories/" + "x" * 300,
    ],
)  # fmt: skip
def test_what_is_no_path_below_memories_is_refused(path: str, tmp_path: Path) -> None:
    with agent(tmp_path) as ana:
        assert refused(ana.memory.file_command, "create", path, "x")
        assert refused(ana.memory.file_command, "view", path)
        assert ana.passages.list().total == 0


def test_texts_of_all_scripts_and_large_files_are_kept_whole_and_shown_in_bounds(tmp_path: Path) -> None:
    with agent(tmp_path) as ana:
        do = ana.memory.file_command
        do("create", "/memories/笔记/é.md", "敏捷的棕色狐狸 🦊\r\nzweite Zeile")
        assert do("view", "/memories/笔记/e\u0301.md").endswith(
            "     1\t敏捷的棕色狐狸 🦊\r\n     2\tzweite Zeile"
        )
        do("create", "/memories/empty.md", "")
        assert do("view", "/memories/empty.md").endswith("     1\t")
        do("create", "/memories/large.md", "\n".join(f"line {n}" for n in range(50_000)))
        shown = do("view", "/memories/large.md")
        assert len(shown) < 41_000
        assert "view less of it with view_range" in shown
        assert do("view", "/memories/large.md", [49_999, -1]).endswith(
            " 49999\tline 49998\n 50000\tline 49999"
        )
        assert "takes 1,000,000" in refused(do, "create", "/memories/huge.md", "x" * 1_000_001)


def test_errors_reach_the_model_as_tool_errors(tmp_path: Path) -> None:
    with agent(tmp_path) as ana, pytest.raises(ToolError, match="does not exist"):
        ClaudeMemoryTool(ana.memory).call({"command": "delete", "path": "/memories/none"})


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ({"command": "view"}, "`path`"),
        ({"command": "view", "path": ["/memories"]}, "`path`"),
        ({"command": "view", "path": "/memories/a.txt", "view_range": ["one", 2]}, "`view_range.0`"),
        ({"command": "create", "path": "/memories/a.txt"}, "`file_text`"),
        ({"command": "str_replace", "path": "/memories/a.txt", "old_str": "a"}, "`new_str`"),
        (
            {"command": "insert", "path": "/memories/a.txt", "insert_line": {}, "insert_text": ""},
            "`insert_line`",
        ),
        ({"command": "rename", "old_path": "/memories/a.txt"}, "`new_path`"),
        ({"command": "burn", "path": "/memories"}, "`command`"),
        ({}, "`command`"),
    ],
)
async def test_what_the_model_leaves_out_or_gets_wrong_is_a_tool_error(
    tmp_path: Path, command: dict[str, Any], wrong: str
) -> None:
    """The SDK takes a command as it is; what is no ``ToolError`` would end as a traceback."""
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        with pytest.raises(ToolError, match="Invalid") as error:
            await AsyncClaudeMemoryTool(pf.memory("ana")).call(command)
    assert wrong in str(error.value)
    with agent(tmp_path) as ana, pytest.raises(ToolError, match="Invalid"):
        ClaudeMemoryTool(ana.memory).call(command)


async def test_hidden_files_are_not_listed_but_are_there(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        do = pf.memory("ana").file_command
        for path in (".draft", "notes/.old/a.txt", "notes/b.txt"):
            await do("create", f"/memories/{path}", "one")
        listing = await do("view", "/memories")
        assert "b.txt" in listing
        assert ".draft" not in listing
        assert ".old" not in listing
        assert (await do("view", "/memories/.draft")).endswith("\tone")
        assert "a.txt" in await do("view", "/memories/notes/.old")


async def test_all_files_are_cleared_and_the_rest_of_the_memory_stays(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        memory = pf.memory("ana")
        tool = AsyncClaudeMemoryTool(memory, cache_control={"type": "ephemeral"})
        assert tool.to_dict().get("cache_control") == {"type": "ephemeral"}
        fact = await memory.add("Bo lives in Porto.")
        for path in ("a.txt", "b/c.txt"):
            await memory.file_command("create", f"/memories/{path}", "one")
        assert "the sections stay" in str(await tool.clear_all_memory())
        assert [hit.id for hit in await memory.list()] == [fact.id]
        assert "sections/persona" in await memory.file_command("view", "/memories")
    with agent(tmp_path) as ana:
        sync = ClaudeMemoryTool(ana.memory, cache_control={"type": "ephemeral"})
        sync.call({"command": "create", "path": "/memories/d.txt", "file_text": "one"})
        sync.clear_all_memory()
        assert "d.txt" not in ana.memory.file_command("view", "/memories")


async def test_of_several_who_make_one_file_at_once_one_makes_it(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        memory, answers = pf.memory("ana"), list[str]()

        async def create(command: str, *arguments: str) -> None:
            try:
                answers.append(await memory.file_command(command, *arguments))
            except UsageError as error:
                answers.append(str(error))

        for path in ("a.txt", "b.txt"):
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(create, "create", f"/memories/{path}", "one")
        assert sum("created" in each for each in answers) == 2
        assert sum("already exists" in each for each in answers) == 6
        await create("delete", "/memories/a.txt")
        assert "a.txt" not in await memory.file_command("view", "/memories")
        await create("create", "/memories/a.txt", "two")
        await create("rename", "/memories/b.txt", "/memories/a.txt")
        assert answers[-2:] == [
            "File created successfully at: /memories/a.txt",
            "The destination /memories/a.txt already exists",
        ]


async def test_a_tag_that_imitates_a_path_makes_no_file(tmp_path: Path) -> None:
    """Whoever may add memories chooses their tags."""
    async with pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as pf:
        memory = pf.memory("ana")
        await memory.file_command("create", "/memories/real.txt", "one")
        before = await memory.file_command("view", "/memories")
        for path in (
            "a\n4.0K\t/memories/forged",
            "../x",
            "sections/persona",
            "",
            "a//b",
            "\u202etxt",
            "c" * 300,
        ):
            await memory.add("hostile", tags=["memories", f"memories/{path}"])
        assert await memory.file_command("view", "/memories") == before
