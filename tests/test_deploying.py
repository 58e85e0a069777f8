"""What is shipped for deploying agrees with the code: image, services, bill of materials; and a backup made
under load is restored and goes on."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import yaml
from packaging.markers import Marker

from conftest import Run
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.testing.embeddings_server import Embeddings
from pagefault.testing.models import ScriptedModel
from pagefault.testing.postgres import Databases
from pagefault.testing.providers import ProviderServer

ROOT = Path(__file__).parents[1]
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent))
IMAGE = (ROOT / "Dockerfile").read_text("utf-8")
UNIT = (ROOT / "deploy/pagefault.service").read_text("utf-8")


def test_the_image_copies_what_is_there_and_is_let_in() -> None:
    named = [
        name for line in re.findall(r"^COPY (?!--)(.*) \S+$", IMAGE, re.MULTILINE) for name in line.split()
    ]
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[0] == "!"]
    assert [name for name in named if not any(Path(name).match(pattern) for pattern in let_in)] == []


def test_the_services_call_serve_with_options_that_it_has(run: Run) -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    started = compose["services"]["server"]["command"]
    unit = re.findall(r"^ExecStart=\S+ (.*)$", UNIT, re.MULTILINE)[0].split()
    image = json.loads(re.findall(r"^CMD (\[.*\])$", IMAGE, re.MULTILINE)[-1])
    help = run("serve", "--help").out
    for words in (started, unit, image):
        assert words[0] == "serve"
        assert [word for word in words if word.startswith("--") and word not in help] == []


def test_the_services_have_no_rights_that_they_do_not_need() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    server = compose["services"]["server"]
    assert (server["read_only"], server["cap_drop"]) == (True, ["ALL"])
    assert server["ports"][0].startswith("127.0.0.1:")
    assert re.findall(r"^USER (.*)$", IMAGE, re.MULTILINE) == ["10001:10001"]
    text = json.dumps(compose)
    assert not re.search(r"(?:PASSWORD|KEY)\W+: \"(?!\$\{)", text), "secrets come from .env"
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict"} <= set(UNIT.splitlines())


@pytest.mark.skipif(HADOLINT is None, reason="hadolint has no package for this machine")
def test_hadolint_has_nothing_to_say() -> None:
    subprocess.run([str(HADOLINT), str(ROOT / "Dockerfile")], check=True)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on PATH")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "pagefault.service"
    program = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT, flags=re.MULTILINE)
    unit.write_text(re.sub(r"^User=.*\n", "", program, flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "pagefault.service" not in done.stderr, done.stderr


def numpy_of(python: str) -> str:
    """The version of a package that has several, by Python."""
    found = re.findall(
        r"^numpy==(\S+) ; (.*) \\$", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE
    )
    (version,) = (v for v, marker in found if Marker(marker).evaluate({"python_full_version": f"{python}.0"}))
    return version


def test_the_bill_of_materials_has_every_package_of_the_image(tmp_path: Path) -> None:
    made: list[str] = []
    for name in ("one.json", "two.json"):
        subprocess.run(
            [sys.executable, ROOT / "scripts/sbom.py", tmp_path / name], check=True, capture_output=True
        )
        made.append((tmp_path / name).read_text("utf-8"))
    assert made[0] == made[1]
    bill = json.loads(made[0])
    listed = {each["name"]: each["version"] for each in bill["components"]}
    for lock in ("requirements.lock", "requirements-server.lock"):
        pinned = re.findall(r"^([\w.-]+)==(\S+) \\$", (ROOT / lock).read_text("utf-8"), re.MULTILINE)
        building = {"hatchling", "editables"}
        assert {(name, version) for name, version in pinned if name not in building} <= set(listed.items())
    assert (listed["numpy"], "colorama" in listed) == (numpy_of("3.13"), False)
    assert {"psycopg", "psycopg-binary", "psycopg-pool"} <= set(listed)
    assert all(each["hashes"] for each in bill["components"])


# The drill: a backup under load, restored elsewhere, checked, and gone on with.


NAMES = ("ana", "bo", "cleo")


def parts() -> Parts:
    return Parts(model=ScriptedModel([]), embedder=NullEmbedder())


def pagefault(home: Path, *arguments: str) -> None:
    """Run a command as a process."""
    command = [sys.executable, "-m", "pagefault", "--home", str(home), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Load:
    """Agents that talk, each until it is ``enough`` and once more."""

    kernel: Kernel
    sent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    warm: anyio.Event = field(default_factory=anyio.Event)
    enough: anyio.Event = field(default_factory=anyio.Event)

    async def talk(self, name: str) -> None:
        last = False
        while not last:
            last = self.enough.is_set()
            _ = [output async for output in self.kernel.send(name, f"message {self.sent[name]}")]
            self.sent[name] += 1
            if min(self.sent.values()) >= 3:
                self.warm.set()


async def back_up_under_load(home: Path, url: str, copy: Path) -> tuple[dict[str, int], dict[str, int]]:
    """The messages that were answered before the backup began, and in the end."""
    here = ("--database", url) if url else ()
    async with open_kernel(home, parts(), Installation(database=url)) as kernel:
        for name in NAMES:
            await kernel.create_agent(name, parse_settings({"zone": "UTC"}))
        load, before = Load(kernel), dict[str, int]()
        async with anyio.create_task_group() as tasks:
            for name in NAMES:
                tasks.start_soon(load.talk, name)
            await load.warm.wait()
            before.update(load.sent)
            await anyio.to_thread.run_sync(pagefault, home, "db", "backup", str(copy), *here)
            load.enough.set()
    return before, load.sent


async def answered(home: Path) -> dict[str, int]:
    """The answers that a restored home has; each agent answers one message more."""
    async with open_kernel(home, parts(), Installation()) as kernel:
        await kernel.recover()
        await kernel.idle()
        found: dict[str, int] = {}
        for name in NAMES:
            found[name] = sum(output.type == "said" for output in await kernel.outputs(name))
            again = [output.text async for output in kernel.send(name, "Hello?") if output.type == "said"]
            assert again == ["ok"]
        return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_backup_made_under_load_is_restored_and_goes_on(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    databases: Databases | None = request.getfixturevalue("databases") if kind == "postgres" else None
    copy, restored = tmp_path / "copy", tmp_path / "restored"
    url = databases.new() if databases else ""
    before, after = anyio.run(back_up_under_load, tmp_path / "home", url, copy)
    restored.mkdir()
    if kind == "sqlite":
        shutil.copy(copy, restored / "pagefault.db")
    else:  # a backup of a server's database is an export of all its agents
        pagefault(restored, "db", "import", str(copy), "--trust")
    pagefault(restored, "db", "check")
    found = anyio.run(answered, restored)
    assert all(before[name] <= found[name] <= after[name] for name in NAMES), (before, found, after)
    assert found != after, "the load was over before the backup"


async def talked(home: Path, embedder: str) -> list[tuple[str, bool, bool]]:
    """The embedders after agents have talked while the vectors of one were made."""
    made = Parts(model=ScriptedModel([]))
    async with open_kernel(home, made, Installation(embedder=embedder)) as kernel:
        for name in NAMES:
            await kernel.ensure_agent(name, parse_settings({"zone": "UTC"}))
        load = Load(kernel)
        async with anyio.create_task_group() as tasks:
            for name in NAMES:
                tasks.start_soon(load.talk, name)
            await load.warm.wait()
            await kernel.settled(5)  # rows that come meanwhile keep it busy
            load.enough.set()
        assert await kernel.settled()
        records = await kernel.store.read(lambda tx: tx.embedders())
        return sorted((each.name, each.wanted, each.in_service) for each in records)


@pytest.mark.slow
def test_another_embedder_takes_over_under_load(tmp_path: Path) -> None:
    """Turns go on meanwhile, and in the end the new one is in service, with vectors of every row."""
    with ProviderServer(Embeddings()) as server:
        one, two = f"{server.url}#one", f"{server.url}#two"
        assert anyio.run(talked, tmp_path, one) == [(one, True, True)]
        assert anyio.run(talked, tmp_path, two) == [(two, True, True)]  # and the former is gone
    pagefault(tmp_path, "db", "check")
