"""The README's examples where people run them: in a script, in an asynchronous program, in a notebook of
Jupyter, and in a child process after a fork."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
ASYNCHRONOUS = [block for block in BLOCKS if "asyncio.run(" in block]
SYNCHRONOUS = [block for block in BLOCKS if "asyncio.run(" not in block]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"PAGEFAULT_HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}


def run(code: str, environment: dict[str, str]) -> str:
    """Run a program with warnings as errors; it must end by itself, and print nothing to standard error."""
    command = [sys.executable, "-W", "error", "-c", code]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_the_readme_has_examples_of_both_kinds() -> None:
    assert SYNCHRONOUS
    assert ASYNCHRONOUS


def test_in_a_script(environment: dict[str, str]) -> None:
    assert "Porto" in run("\n".join(BLOCKS), environment)


def test_in_a_script_that_does_not_close_the_agent(environment: dict[str, str]) -> None:
    code = """
        from pagefault import Agent
        ana = Agent("ana")
        print(ana.send("Hello!").text)
    """
    assert run(dedent(code), environment).strip()


def test_in_an_asynchronous_program(environment: dict[str, str]) -> None:
    inside = indent("\n".join(SYNCHRONOUS), "    ")  # the synchronous face, where a loop runs
    code = f"import asyncio\nasync def main():\n{inside}\nasyncio.run(main())\n"
    assert "Porto" in run(code + "\n".join(ASYNCHRONOUS), environment)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_in_a_notebook(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for name in ("PAGEFAULT_HOME", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    cells = [block.replace("asyncio.run(main())", "await main()") for block in BLOCKS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    printed = [output.get("text", "") for cell in notebook.cells for output in cell.outputs]
    assert "Porto" in "".join(printed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this machine cannot fork")
def test_after_a_fork(environment: dict[str, str]) -> None:
    code = """
        import os, sys, warnings
        from pagefault import Agent, PagefaultError
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on Python warns of forks with threads
        parent = Agent("bo")
        parent.send("Hello!")
        child = os.fork()
        if not child:
            try:
                parent.send("Hello again!")
            except PagefaultError as error:
                print(error)
            parent.close()
            exec(os.environ["README_BLOCKS"])
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(parent.send("Are you still there?").text)
        parent.close()
    """
    printed = run(dedent(code), environment | {"README_BLOCKS": "\n".join(SYNCHRONOUS)})
    assert printed.startswith("This agent was opened before the process forked")
    assert "Porto" in printed


def test_a_program_may_end_while_the_embedder_works_in_a_daemon_thread(environment: dict[str, str]) -> None:
    code = """
        import anyio, threading
        from pagefault.errors import EmbedderError
        from pagefault.embedders.minilm import MiniLM
        begun = threading.Event()

        async def embed():
            embedder = MiniLM()
            await embedder.embed(["loaded"])
            begun.set()
            try:
                while True:
                    await embedder.embed(["text " * 300] * 16)
            except EmbedderError as error:
                print(error)

        threading.Thread(target=anyio.run, args=(embed,), daemon=True).start()
        begun.wait()
    """
    for _ in range(3):
        run(dedent(code), environment)
