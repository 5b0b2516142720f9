"""The house of ARCHITECTURE.md: imports point down, the core is pure, importing does nothing.

What is walked is the source itself, so an import inside a function or under TYPE_CHECKING counts like any other.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast

# By one worker, which then parses the source once.
pytestmark = pytest.mark.xdist_group("house")

ROOT = Path(holdfast.__file__).parent

# From the roof to the ground. A room imports from rooms below it; rooms on one line do not import one another. `holdfast`
# is the package itself with its public names.
STOREYS = """
__main__
cli
labs
evaluation
testing loading
holdfast
app
looking
saying scheduling forking replaying
engines telemetry
runner
starting
agent
judges mind
models
monitors
inbox memory audit archive figures notify
journal tools reasoners views pricing policyfile
policyfile scriptfile
datafile
core datafile
errors
"""
STOREY_OF = {room: number for number, rooms in enumerate(STOREYS.split("\n")) for room in rooms.split()}

# What the core may use from outside: nothing that reads a clock, draws, waits, or touches a file or a network.
PURE = {
    "__future__", "base64", "bisect", "collections", "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions", "functools", "hashlib",
    "heapq", "hmac", "itertools", "json", "math", "operator", "re", "string", "types", "typing", "unicodedata", "zoneinfo",
    "cronsim", "jmespath", "jsonschema_rs", "msgspec", "rpds",
}  # fmt: skip
IMPURE_BUILTINS = {"open", "print", "input", "breakpoint", "exec", "eval", "compile", "__import__", "id"}
# The nodes of a parsed condition are tables, which cannot be keys; their identity never leaves the object that holds them.
KEYED_BY_NODE = {"holdfast.core.conditions": {"id"}}
NO_NOUN = {"util", "utils", "common", "helper", "helpers", "misc", "shared", "stuff"}
NOT_FOR_A_BARE_IMPORT = {"pydantic", "apsw", "typer", "rich", "asyncio", "yaml", "msgspec", "jsonschema_rs", "jmespath"}


def modules() -> dict[str, Path]:
    """Every module of the package with its file."""
    found = {}
    for file in sorted(ROOT.rglob("*.py")):
        parts = ("holdfast", *file.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


@functools.cache
def tree_of(name: str) -> ast.Module:
    """The source of a module, parsed."""
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imported(name: str) -> Iterator[str]:
    """All modules that one imports, wherever in it; what is imported from a package counts as its module where it is one."""
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports by dots; write the whole name"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)


def room(name: str) -> str:
    """The room that a module belongs to: the folder or file right inside the package."""
    return name.split(".")[1] if "." in name else name


@functools.cache
def ours_of(name: str) -> frozenset[str]:
    """The modules of the package that one imports."""
    return frozenset(other for other in imported(name) if other.split(".")[0] == "holdfast")


def test_every_room_has_its_storey() -> None:
    """A new room is put where it belongs before anything imports it."""
    assert {room(name) for name in MODULES} <= STOREY_OF.keys()


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down_only(name: str) -> None:
    """Nothing is imported from the same storey or above, except from the own room."""
    here = STOREY_OF[room(name)]
    wrong = sorted(other for other in ours_of(name) if room(other) != room(name) and STOREY_OF[room(other)] <= here)
    assert not wrong, f"{name} reaches up or sideways"


def test_no_modules_import_one_another_in_a_ring() -> None:
    """Every module can be understood after the ones that it imports."""
    left = {name: set(ours_of(name)) & MODULES.keys() for name in MODULES}
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"in a ring, or above one: {sorted(left)}"


def test_nothing_is_imported_by_its_text() -> None:
    """An import by a computed name is for the public names, a room's own modules, and the files and modules of users."""
    assert {name for name in MODULES if any(imports_by_text(tree_of(name)))} <= {
        "holdfast",
        "holdfast.cli.start",
        "holdfast.labs.registry",
        "holdfast.loading",
        "holdfast.testing.crash_walk.worker",
        "holdfast.testing.models.server.__main__",
    }
    for name in MODULES.keys() - {"holdfast"}:
        for call in imports_by_text(tree_of(name)):
            texts = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            ours = [text for text in texts if text.startswith("holdfast.")]
            assert all(room(text) == room(name) for text in ours), f"{name} imports {ours} by text"


def imports_by_text(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls of `import_module` and its like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield node


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) == "core"])
def test_the_core_is_pure(name: str) -> None:
    """It imports errors, core and pure libraries, calls nothing that touches the world, and never waits."""
    outside = {other.split(".")[0] for other in imported(name)} - {"holdfast"}
    assert outside <= PURE
    assert {room(other) for other in ours_of(name)} <= {"core", "errors"}
    for node in ast.walk(tree_of(name)):
        assert not isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Global)), (
            name,
            node.lineno,
        )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_BUILTINS - KEYED_BY_NODE.get(name, set()), (name, node.lineno)


def test_errors_stand_on_nothing() -> None:
    """The ground imports none of the rooms above it, and no library."""
    assert {other.split(".")[0] for other in imported("holdfast.errors")} <= {"__future__", "typing"}


def test_every_module_is_a_noun() -> None:
    """No room for things that have no room."""
    assert not {name for name in MODULES if set(name.strip("_").split(".")) & NO_NOUN}


def test_importing_holdfast_loads_and_does_nothing(tmp_path: Path) -> None:
    """In a fresh process: no library, no output, no file, no thread; the names are there when they are asked for."""
    script = """
import json, sys, threading
done = []
def look(event, args):
    writes = event == "open" and isinstance(args[2], int) and args[2] & 3 and not str(args[0]).endswith((".pyc", "null"))
    if writes or event.startswith(("socket.", "subprocess.", "os.mkdir", "os.system", "os.fork", "sqlite3.")):
        done.append([event, str(args[0])])
sys.addaudithook(look)
before = set(sys.modules)
import holdfast
loaded = sorted({name.split(".")[0] for name in set(sys.modules) - before})
ours = sorted(name for name in sys.modules if name.startswith("holdfast"))
print(json.dumps([loaded, ours, done, threading.active_count(), holdfast.Agent.__name__, holdfast.tool.__name__]))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    loaded, ours, done, threads, *names = json.loads(ended.stdout)
    assert not NOT_FOR_A_BARE_IMPORT & set(loaded)
    assert ours == ["holdfast"]
    assert (done, threads, names) == ([], 1, ["Agent", "tool"])
    assert ended.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_the_public_names_are_one_list() -> None:
    """What is declared for type checkers, what is loaded and what is listed are the same, and each name is there."""
    declared = {
        alias.asname
        for node in ast.walk(tree_of("holdfast"))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in ast.walk(node)
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert declared == set(holdfast.__all__)
    for name in holdfast.__all__:
        home = getattr(holdfast, name)
        assert getattr(home, "__name__", name) == name or name in ("NOT_HAPPENED", "NOT_YET", "Secret")
    assert set(holdfast.__all__) <= set(dir(holdfast))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = holdfast.Nothing


def test_every_public_name_is_used_with_its_types() -> None:
    """tests/typing/api.py, which is type-checked and never run, leaves no public name out."""
    tree = ast.parse((Path(__file__).parent / "typing" / "api.py").read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert set(holdfast.__all__) <= used
