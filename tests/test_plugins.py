"""Plug-ins: the example package is installed as a user installs one, and each of its parts is used by name.
One that is broken is a sentence, and ends nothing else."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import pagefault
from conftest import Run
from pagefault import Agent
from pagefault.assembly import Parts
from pagefault.build import catalogue_of, make_embedder, open_store
from pagefault.config import load_installation
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import PluginError, UsageError
from pagefault.plugins import GROUPS, _entries, plugins  # pyright: ignore[reportPrivateUsage]
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"

BROKEN = """
[pagefault.models]
gone = no_such_module:Model
openai = no_such_module:Model
[pagefault.commands]
gone = no_such_module:command
[pagefault.embedders]
failing = broken_plugin:embedder
[pagefault.importers]
failing = broken_plugin:read
[pagefault.stores]
watched = broken_plugin:store
"""

BROKEN_CODE = """
import threading
from pagefault.testing.memory import MemoryStore

def embedder(model):
    raise RuntimeError("no GPU")

def read(path):
    yield from ()
    raise ValueError("not a chat log")

opened_in = []

def store(url):
    opened_in.append(threading.current_thread())
    return MemoryStore()
"""


def install(package: Path, target: Path) -> None:
    """Install a package offline, without what it depends on, into a folder."""
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    elif uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", "--offline", "--python", sys.executable]
    else:
        pytest.skip("neither pip nor uv is here")
    options = ["--no-deps", "--no-build-isolation", "--target", str(target), str(package)]
    subprocess.run([*command, *options], check=True)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"  # a build may write beside its source
    shutil.copytree(EXAMPLE, source)
    install(source, folder / "installed")
    return folder / "installed"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _entries.cache_clear()
    yield
    _entries.cache_clear()


@pytest.fixture
def installed(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(example), *sys.path])


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    information = tmp_path / "site" / "broken_plugin-2.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 2.1\n")
    (information / "entry_points.txt").write_text(BROKEN)
    (tmp_path / "site" / "broken_plugin.py").write_text(BROKEN_CODE)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    monkeypatch.delitem(sys.modules, "broken_plugin", raising=False)


@pytest.mark.usefixtures("installed")
def test_plug_ins_are_listed_without_being_imported() -> None:
    found = [(p.group, p.name, p.package) for p in plugins() if p.package.startswith("pagefault-echo")]
    assert found == [
        ("models", "echo", "pagefault-echo 0.1.0"),
        ("embedders", "letters", "pagefault-echo 0.1.0"),
        ("stores", "memory", "pagefault-echo 0.1.0"),
        ("commands", "hello", "pagefault-echo 0.1.0"),
        ("importers", "lines", "pagefault-echo 0.1.0"),
    ]
    assert {group for group, _, _ in found} == set(GROUPS)
    assert "pagefault_echo" not in sys.modules


@pytest.mark.usefixtures("installed")
def test_a_model_is_named_by_its_provider(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, model="echo:loud", style="native") as ana:
        assert ana.send("Anybody there?").text == "Anybody there?"
    assert "echo" in catalogue_of(tmp_path, load_installation(tmp_path)).providers


@pytest.mark.anyio
@pytest.mark.usefixtures("installed")
async def test_an_embedder_is_named_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('embedder = "letters"\n')
    async with pagefault.open(tmp_path, parts=Parts(ScriptedModel([]))) as pf:
        ana = await pf.agent("ana")
        id = await ana.remember("zzz")
        await pf.kernel.settled()
        assert [hit.id for hit in await ana.search("zz", tier="archival")] == [id]
    assert make_embedder("letters:any").dimensions == 26


@pytest.mark.usefixtures("installed")
def test_a_store_is_named_by_the_scheme_of_its_url(tmp_path: Path) -> None:
    assert isinstance(open_store(tmp_path, load_installation(tmp_path, "memory://here")), MemoryStore)
    with Agent("ana", home=tmp_path, database="memory://here", parts=Parts(ScriptedModel([]))) as ana:
        assert ana.send("hi").text == "ok"
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.usefixtures("installed")
def test_an_importer_brings_passages(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Bruno is a dog.\nAna sells honey.\n")
    parts = Parts(ScriptedModel([]), NullEmbedder())
    with Agent("ana", home=tmp_path, parts=parts) as ana:
        first, second = ana.passages.import_from("lines", tmp_path / "notes.txt")
        assert [ana.passages.get(id).text for id in (first, second)] == [
            "Bruno is a dog.",
            "Ana sells honey.",
        ]
        with pytest.raises(UsageError, match=r"no importer 'words'; installed are: lines"):
            ana.passages.import_from("words", tmp_path)


@pytest.mark.usefixtures("installed")
def test_a_command_is_part_of_the_command_line(run: Run) -> None:
    assert "hello      A plug-in, of the package pagefault-echo 0.1.0." in run("--help").out
    ran = run("hello", "--help")
    assert (ran.code, ran.out.startswith("Usage: pagefault hello")) == (0, True)
    assert run("hello").code == 0


@pytest.mark.usefixtures("broken")
def test_a_broken_command_is_one_line(run: Run) -> None:
    ran = run("gone")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith("pagefault: The plug-in gone (pagefault.commands, of broken-plugin 2.1) failed")


@pytest.mark.usefixtures("broken")
def test_a_plug_in_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"gone \(pagefault.models, of broken-plugin 2.1\) failed"):
        Agent("ana", home=tmp_path, model="gone:x")
    with Agent("ana", home=tmp_path, parts=Parts(ScriptedModel([]), NullEmbedder())) as ana:
        assert ana.send("hi").text == "ok"  # a broken plug-in ends nothing else


@pytest.mark.usefixtures("broken")
def test_a_plug_in_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="RuntimeError: no GPU; upgrade that package, or uninstall it"):
        make_embedder("failing")
    with (
        Agent("ana", home=tmp_path, parts=Parts(ScriptedModel([]), NullEmbedder())) as ana,
        pytest.raises(PluginError, match="ValueError: not a chat log"),
    ):
        ana.passages.import_from("failing", tmp_path)


@pytest.mark.usefixtures("broken")
def test_a_plug_in_does_not_replace_a_part_of_ours(tmp_path: Path) -> None:
    providers = catalogue_of(tmp_path, load_installation(tmp_path)).providers
    assert providers["openai"].adapter == "openai"


def test_packages_are_not_looked_through_for_names_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with Agent("ana", home=tmp_path) as ana:
        ana.settings.change(model="openai:gpt-4o-mini")
    assert _entries.cache_info().misses == 0


@pytest.mark.anyio
@pytest.mark.usefixtures("broken")
async def test_the_database_is_opened_in_another_thread(tmp_path: Path) -> None:
    async with pagefault.open(tmp_path, database="watched://", parts=Parts(ScriptedModel([]))):
        (opener,) = sys.modules["broken_plugin"].opened_in
    assert opener is not threading.current_thread()
