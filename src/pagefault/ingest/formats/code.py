"""Source code, by its definitions: pages and passages end where a function or a class does, and their
headings are the names around them (``Kernel › send``).

The grammars are those of tree-sitter, one package a language. Left out: what the code means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pagefault.ingest.pages import Extracted, Heading, clean, paginate
from pagefault.ingest.plain import decoded_text

if TYPE_CHECKING:
    from tree_sitter import Node

    from pagefault.ingest.reading import Reading

__all__ = ["LANGUAGES", "CodeLanguage", "code", "grammar", "language_of"]


@dataclass(frozen=True, slots=True)
class CodeLanguage:
    """A language of programs: the suffixes of its files, its package, and the grammar in that."""

    name: str
    suffixes: tuple[str, ...]
    package: str
    grammar: str = "language"

    @property
    def media(self) -> str:
        return f"text/x-{self.name}"


LANGUAGES = (
    CodeLanguage("python", (".py", ".pyi", ".pyw"), "tree_sitter_python"),
    CodeLanguage("javascript", (".js", ".mjs", ".cjs", ".jsx"), "tree_sitter_javascript"),
    CodeLanguage("typescript", (".ts", ".mts", ".cts"), "tree_sitter_typescript", "language_typescript"),
    CodeLanguage("tsx", (".tsx",), "tree_sitter_typescript", "language_tsx"),
    CodeLanguage("java", (".java",), "tree_sitter_java"),
    CodeLanguage("c", (".c", ".h"), "tree_sitter_c"),
    CodeLanguage("c++", (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"), "tree_sitter_cpp"),
    CodeLanguage("csharp", (".cs",), "tree_sitter_c_sharp"),
    CodeLanguage("go", (".go",), "tree_sitter_go"),
    CodeLanguage("rust", (".rs",), "tree_sitter_rust"),
    CodeLanguage("ruby", (".rb",), "tree_sitter_ruby"),
    CodeLanguage("php", (".php",), "tree_sitter_php", "language_php"),
    CodeLanguage("shell", (".sh", ".bash"), "tree_sitter_bash"),
)
_BY_SUFFIX = {suffix: each for each in LANGUAGES for suffix in each.suffixes}
_BY_MEDIA = {each.media: each for each in LANGUAGES}

_DEFINITIONS = frozenset((
    "function_definition", "class_definition",  # Python, C, C++, PHP, shell
    "function_declaration", "generator_function_declaration", "class_declaration",
    "abstract_class_declaration", "method_definition", "interface_declaration", "enum_declaration",
    "internal_module", "variable_declarator",
    "method_declaration", "constructor_declaration", "record_declaration", "annotation_type_declaration",
    "struct_specifier", "class_specifier", "union_specifier", "enum_specifier", "namespace_definition",
    "namespace_declaration", "struct_declaration", "property_declaration", "delegate_declaration",
    "type_spec", "trait_declaration",
    "function_item", "struct_item", "enum_item", "trait_item", "impl_item", "mod_item", "macro_definition",
    "method", "singleton_method", "class", "module",
))  # fmt: skip
_FUNCTIONS = ("arrow_function", "function_expression", "generator_function")  # the value of a variable
_AROUND = ("decorated_definition", "export_statement")  # stand around a definition, and begin with it
_NAME = 100
_LEVELS = 8


def language_of(name: str) -> CodeLanguage | None:
    """Return the language of a file by its name; None if it is not known."""
    return _BY_SUFFIX.get(PurePosixPath(name).suffix.lower())


def grammar(media: str) -> Any:
    """Return the grammar of a language, as tree-sitter and the splitter take it; None for other media."""
    language = _BY_MEDIA.get(media)
    return getattr(import_module(language.package), language.grammar)() if language else None


def code(data: bytes, reading: Reading) -> Extracted:
    """Read source code; its title is the name of the file."""
    language = language_of(reading.file)
    source = clean(decoded_text(data, reading))
    if language is None:
        return Extracted("", tuple(paginate(source, (), markdown=False)))
    headings = _headings(source, grammar(language.media))
    pages = paginate(source, headings, markdown=False, grammar=grammar(language.media))
    return Extracted(PurePosixPath(reading.file).name, tuple(pages))


def _headings(source: str, language: object) -> list[Heading]:
    """Return the definitions by offset, each with those around it; where one ends, that around it goes on."""
    from tree_sitter import Language, Parser

    encoded = source.encode()
    cursor, found = Parser(Language(language)).parse(encoded).walk(), _Definitions(_Place(encoded))
    while True:
        if cursor.node is not None:
            found.enter(cursor.node, cursor.depth)
        if cursor.goto_first_child():
            continue
        while True:
            if cursor.node is not None:
                found.leave(cursor.node, cursor.depth)
            if cursor.goto_next_sibling():
                break
            if not cursor.goto_parent():
                return found.headings


@dataclass(slots=True)
class _Definitions:
    """The walk over a tree of code: the definitions so far, and those that are open, by depth."""

    place: _Place
    headings: list[Heading] = field(default_factory=list[Heading])
    _open: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def enter(self, node: Node, depth: int) -> None:
        if not node.is_named or not (name := _name_of(node)):
            return
        path = f"{self._path} › {name}" if self._path and len(self._open) < _LEVELS else self._path or name
        around = node.parent if node.parent is not None and node.parent.type in _AROUND else node
        self.headings.append(Heading(self.place.of(around.start_byte), path))
        self._open.append((depth, path))

    def leave(self, node: Node, depth: int) -> None:
        if self._open and self._open[-1][0] == depth:
            self._open.pop()
            self.headings.append(Heading(self.place.of(node.end_byte), self._path))

    @property
    def _path(self) -> str:
        return self._open[-1][1] if self._open else ""


class _Place:
    """Offsets in bytes to offsets in characters. They mostly grow, so that little is counted twice."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self._ascii = encoded.isascii()
        self._byte = self._character = 0

    def of(self, byte: int) -> int:
        if self._ascii:
            return byte
        between = self._encoded[min(byte, self._byte) : max(byte, self._byte)].decode("utf-8", "ignore")
        self._character += len(between) if byte >= self._byte else -len(between)
        self._byte = byte
        return self._character


def _name_of(node: Node) -> str:
    """Return the name that a node defines; empty if it defines none."""
    if node.type not in _DEFINITIONS or not _defines(node):
        return ""
    other = "type" if node.type == "impl_item" else "declarator"
    named = node.child_by_field_name("name") or node.child_by_field_name(other)
    while named is not None and (inner := named.child_by_field_name("declarator")) is not None:
        named = inner
    text = named.text if named is not None else None
    return " ".join((text or b"").decode("utf-8", "replace").split())[:_NAME]


def _defines(node: Node) -> bool:
    """Return False for a variable that is no function, and where a type is used and not defined."""
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        return value is not None and value.type in _FUNCTIONS
    return not node.type.endswith("_specifier") or node.child_by_field_name("body") is not None
