"""One archive and one shared section for two agents, one of which may only read the archive.

It runs by itself with a scripted model, on a home that is thrown away. For a real one leave `model` out of
`open` and give the agents one: `pf.agent("ana", model="openai:gpt-4o-mini")`.
"""

from tempfile import TemporaryDirectory

import anyio

import pagefault
from pagefault.testing.models import ScriptedModel, say


async def main() -> None:
    with TemporaryDirectory() as home:
        manual = anyio.Path(home, "boiler.md")
        await manual.write_text("# Boiler 7\n\nThe valve closes with a quarter turn to the left.")
        async with pagefault.open(home, model=ScriptedModel(lambda _: [say("Noted.")])) as pf:
            ana, bo = await pf.agent("ana"), await pf.agent("bo")
            await pf.archives.create("manuals", "what the house runs on")
            await ana.archives.attach("manuals")
            await bo.archives.attach("manuals", read_only=True)
            report = await pf.archives.load("manuals", str(manual))  # once for both
            print(f"informed: {', '.join(report.informed)}")
            print(await ana.remember("The spare key hangs behind the door.", archive="manuals"))
            for hit in await bo.search("spare key", archive="manuals"):
                print(f"bo finds {hit.id}: {hit.text}")
            await pf.shared_sections.share("plan", "ana", "bo", text="Service boiler 7 in May.")
            await pf.shared_sections.write("plan", "Service boiler 7 in June.")
            print((await bo.sections.read("plan")).text)
            await pf.archives.delete("manuals")  # its agents learn of it


anyio.run(main)
