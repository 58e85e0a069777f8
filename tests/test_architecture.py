"""The shape of the house, read from the source: imports go down only, only `build` names concrete adapters,
modules say what they are, files and functions stay short, errors are not swallowed.

The tables come first; to add a module is to say here where it stands.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "pagefault"

# Lowest first. A module imports only from rows above its own; names are relative to `pagefault`.
LAYERS = (
    {"errors", "types", "prompts"},
    {"addresses", "clock", "models", "embedders", "storage", "storage.terms"},  # the protocols
    {"functions.arguments", "models.endpoint", "models.tokens", "retrieval.dates", "storage.raw"},
    {"models.spending", "retrieval.query"},
    {
        "context",
        "context.paging",
        "functions",
        "models.prices",
        "retrieval.ranking",
        "retrieval.service",
        "retrieval.windows",
    },
    {"retrieval.excerpt"},
    {"retrieval"},
    {"context.admission", "context.calibration", "context.policy", "context.summary", "functions.results"},
    {"context.queue_manager", "functions.documents", "functions.syscalls", "config"},
    {"agent.output", "agent.rows", "agent.turn"},
    {"agent"},
    {"kernel.indexer", "kernel.scheduler", "kernel.timers"},
    {"kernel"},
    {"build"},
    {"facade"},
)
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}

# Everything else in these packages is an adapter: it imports its own package, and these.
ADAPTERS = ("models", "embedders", "storage")
ADAPTERS_IMPORT = {
    "errors",
    "types",
    "addresses",
    "models",
    "models.tokens",
    "embedders",
    "storage",
    "storage.terms",
}

# These import whatever they need, and none of the others imports them. "" is `pagefault` itself.
EDGES = ("", "bench", "cli", "ingest", "testing", "transfer", "__main__")
EDGE_TO_EDGE = {
    ("cli", ""), ("cli", "bench"), ("cli", "ingest"), ("cli", "transfer"),
    ("bench", "testing"), ("testing", ""), ("__main__", "cli"),
}  # fmt: skip

# Lines of a file and of a function; tighter for what is to be read in one sitting.
LIMITS = (400, 60)
CORE_LIMITS = (300, 40)
CORE = {module for layer in LAYERS[3:-2] for module in layer}

# Handlers that catch everything and do not raise again: around an outside tool, and at the kernel's worker.
CATCH_ALL = {"functions": 1, "kernel.scheduler": 1}


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {name_of(path): ast.parse(path.read_bytes(), str(path)) for path in SOURCE.rglob("*.py")}
LINES = {name_of(path): len(path.read_bytes().splitlines()) for path in SOURCE.rglob("*.py")}


def package(module: str) -> str:
    return module.partition(".")[0]


def is_adapter(module: str) -> bool:
    return module not in RANK and package(module) in ADAPTERS


def is_edge(module: str) -> bool:
    return module not in RANK and package(module) in EDGES


def imported(tree: ast.Module) -> Iterator[str]:
    """Our modules that the tree imports, wherever the statement stands (in a function, for types only)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [
                name if name.removeprefix("pagefault.") in TREES else str(node.module) for name in within
            ]
        else:
            continue
        for name in names:
            if package(name) == "pagefault":
                yield name.removeprefix("pagefault").removeprefix(".")


def may_import(module: str, target: str) -> bool:
    if is_edge(module):
        pair = (package(module), package(target))
        if is_edge(target):
            return pair[0] == pair[1] or pair in EDGE_TO_EDGE
        return target in RANK or pair[0] == "testing"
    if is_adapter(module):
        return target in ADAPTERS_IMPORT or package(target) == package(module)
    if is_adapter(target):
        return module == "build"
    return target in RANK and module in RANK and RANK[target] < RANK[module]


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def catches_all(handler: ast.ExceptHandler) -> bool:
    """Whether nothing passes it by and it does not hand the error on."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in kinds)
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def test_every_module_has_its_place() -> None:
    assert [name for name in TREES if not (name in RANK or is_adapter(name) or is_edge(name))] == []


def test_imports_go_down_only() -> None:
    wrong = {
        f"{module} imports {target or 'pagefault'}"
        for module, tree in TREES.items()
        for target in imported(tree)
        if not may_import(module, target)
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_the_rules_can_be_broken() -> None:
    assert may_import("agent", "context.queue_manager")
    assert may_import("build", "storage.sqlite")
    assert may_import("models.offline.language", "storage.terms")
    assert may_import("cli.chat", "facade")
    for module, target in (
        ("context.queue_manager", "agent"),
        ("agent", "models.offline"),
        ("agent", ""),
        ("cli", "storage.sqlite"),
        ("storage.sqlite", "retrieval"),
        ("embedders.minilm", "models.offline"),
        ("kernel", "testing"),
        ("facade", "cli"),
    ):
        assert not may_import(module, target), f"{module} -> {target}"


def test_every_module_says_what_it_is() -> None:
    assert [module for module, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_files_and_functions_are_short() -> None:
    long: list[str] = []
    for module, tree in TREES.items():
        most, most_of_one = CORE_LIMITS if module in CORE else LIMITS
        if LINES[module] > most:
            long.append(f"{module}: {LINES[module]} lines, at most {most}")
        long += [
            f"{module}.{name}: {lines} lines, at most {most_of_one}"
            for name, lines in functions(tree)
            if lines > most_of_one
        ]
    assert not long, "\n".join(long)


def test_errors_are_not_swallowed() -> None:
    counts = {
        module: sum(isinstance(node, ast.ExceptHandler) and catches_all(node) for node in ast.walk(tree))
        for module, tree in TREES.items()
    }
    assert {m: n for m, n in counts.items() if n > CATCH_ALL.get(m, 0)} == {}
