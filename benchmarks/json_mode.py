"""The share of valid calls in JSON mode, of a weak model behind a real server.

    python benchmarks/json_mode.py --server http://127.0.0.1:8080/v1#smollm2 [--schema loose]

Each of twenty messages is asked in the prompt of a new agent, window 4,096, as often as it takes. A
completion is valid if it is whole and its call has a function and arguments that the executor takes, or calls
nothing as it should. ``exact`` is the schema that agents send, ``loose`` the one for servers that refuse it.
One request at a time, with the server's own temperature. Not in ``make bench``: it needs a server.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace

from pagefault import prompts
from pagefault.config import parse_settings
from pagefault.context import render_sections
from pagefault.errors import FunctionError, ModelError
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.offered import own_functions
from pagefault.models import Completion, Prompt, PromptMessage
from pagefault.models.answer_schemas import loosened
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import ModelOptions
from pagefault.models.wrappers.function_calling.json_mode import JSONReader
from pagefault.types import Section

WINDOW, REPLY = 4096, 512
MESSAGES = """Hello, my name is Ana.
I moved to Lisbon in March.
My sister's wedding is on the 14th of June.
What did I tell you about my sister?
Please remember that I am allergic to peanuts.
What is the capital of France?
Do you remember where I live?
I like ceramics, old maps and tea.
Forget what I said about tea.
Can you help me to plan a trip to Porto?
How are you today?
Thank you, that was helpful.
My dog is called Rex and he is three years old.
When did we last talk?
Search your memory for my favourite book.
Save this: the door code is 4711.
Tell me a short joke.
What is 12 times 12?
I changed my mind, I prefer coffee now.
Who am I?""".splitlines()
SECTIONS = (
    Section("persona", "who you are", 160, "I am a calm assistant."),
    Section("human", "facts about the user", 400, ""),
)


def asked(text: str, executor: FunctionExecutor) -> Prompt:
    instructions = prompts.text("system_memgpt")
    system = PromptMessage("system", f"{instructions}\n\n{render_sections(SECTIONS)}")
    said = PromptMessage("user", f"[user 2026-11-29 Sun 10:00] {text}")
    return Prompt((system, said), executor.schemas, REPLY, instructions=instructions)


def fault_of(reader: JSONReader, whole: Completion, executor: FunctionExecutor) -> str:
    """The fault of a completion; empty if it is valid."""
    read = reader.take(whole)[-1]
    assert isinstance(read, Completion)
    if whole.cut:
        return "cut"
    if not read.calls:
        return "" if read.thinking or not read.text else "no object"
    if any(call.from_text for call in read.calls):
        return "repeated or repaired"
    try:
        for call in read.calls:
            executor.prepare(call.name, call.arguments)
    except FunctionError as error:
        return str(error)
    return ""


async def run(server: str, schema: str, completions: int) -> None:
    settings = parse_settings({"style": "memgpt"})
    executor = FunctionExecutor.of(own_functions(settings, []), "memgpt", 10.0)
    catalogue = Catalogue({})
    (target,) = catalogue.targets(server)
    model, valid = catalogue.adapter(target, WINDOW, ModelOptions()), 0
    for number in range(completions):
        reader = JSONReader(asked(MESSAGES[number % len(MESSAGES)], executor))
        sent = reader.prompt
        if schema == "loose":
            sent = replace(sent, answer_schema=loosened(sent.answer_schema or {}))
        try:
            *_, whole = [item async for item in model.stream(sent)]
        except ModelError as error:
            fault = str(error)
        else:
            assert isinstance(whole, Completion)
            fault = fault_of(reader, whole, executor)
        valid += not fault
        print(f"{number:3} {fault[:100] or 'valid'}", flush=True)
    await catalogue.aclose()
    print(f"{schema}: {valid} of {completions} completions were valid")


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--server", required=True, help="URL#MODEL")
    arguments.add_argument("--schema", choices=("exact", "loose"), default="exact")
    arguments.add_argument("--completions", type=int, default=40)
    given = arguments.parse_args()
    asyncio.run(run(given.server, given.schema, given.completions))


if __name__ == "__main__":
    main()
