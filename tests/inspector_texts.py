"""The sentences that the inspector's templates and modules show, found by reading them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from jinja2 import Environment
from jinja2.nodes import Call, Const, Name

from pagefault.server import inspector

FOLDER = Path(inspector.__file__).parent


def sentences() -> Iterator[tuple[str, str]]:
    """Each sentence, and where it stands. A sentence is the text given to ``t``, which must be a literal."""
    environment = Environment(autoescape=True)
    for path in sorted((FOLDER / "templates").rglob("*.html")):
        for call in environment.parse(path.read_text("utf-8")).find_all(Call):
            if isinstance(call.node, Name) and call.node.name == "t":
                first = call.args[0]
                assert isinstance(first, Const), f"{path.name}: t() needs a literal"
                yield first.value, path.name
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("t", "page.t", "self.t"):
                text = ast.literal_eval(node.args[0])
                yield text, path.name


def fields(text: str) -> set[str]:
    """The names of the values in a sentence."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}
