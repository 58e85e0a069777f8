"""An assistant for a folder of notes: six tools, and to delete a file it needs your approval.

python examples/apps/files.py notes/    # to the offline model write calls: read(name="a.md")
"""

import sys
from pathlib import Path
from uuid import uuid4

from pagefault import Agent, Event, tool


class Notes:
    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def list_files(self) -> list[str]:
        """List the files."""
        return sorted(path.name for path in self.folder.iterdir())

    def read(self, name: str) -> str:
        """Read a file."""
        return self._path(name).read_text()

    def find(self, text: str) -> dict[str, int]:
        """Count a text in each file."""
        return {name: n for name in self.list_files() if (n := self.read(name).count(text))}

    def write(self, name: str, text: str) -> None:
        """Write a new file."""
        with self._path(name).open("x") as file:
            file.write(text)

    def rename(self, name: str, new: str) -> None:
        """Rename a file."""
        self._path(name).rename(self._path(new))

    @tool(approval=True)
    def delete(self, name: str) -> str:
        """Delete a file."""
        self._path(name).unlink()
        return f"{name} is deleted."

    def _path(self, name: str) -> Path:
        if (path := (self.folder / name).resolve()).parent != self.folder:
            raise ValueError(f"{name} is not in the folder.")  # the model reads it
        return path


notes = Notes(Path(sys.argv[1]))
tools = [notes.list_files, notes.read, notes.find, notes.write, notes.rename, notes.delete]
with Agent("files", tools=tools) as agent:
    for line in sys.stdin:
        event = Event("message", line.strip(), key=uuid4().hex)
        while (reply := agent.send(event)).waiting:  # its turn waits for a decision, or one before it does
            print(f"{reply.waiting[0]}? Answer yes, or say why not.", flush=True)
            answer = sys.stdin.readline().strip()
            agent.approve(reply.waiting[0].id, answer == "yes", note=answer)
        print(reply.text, flush=True)
