"""The documentation is true: its programs run, its transcripts are what comes, its tables are what the code says."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
import yaml

import holdfast
from holdfast.core.events import FailureKind
from holdfast.core.limits import Limits
from holdfast.core.plan import OnFailure
from holdfast.reasoners import planfile
from tests.docs.transcript import ROOT, Block, blocks, perform, same, typed
from tests.thorough import ALL

DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]
# A page that only shows a transcript in the words of a story may leave lines out without saying so.
SHORT = {"README.md", "labs.md", "morning-after.md"}
# It takes a minute; `make exhaustive` does it.
LONG = {"models.md"}
# They run for minutes, and are run by the tests of the labs.
NOT_TYPED = {"labs.md", "morning-after.md"} if ALL else {"labs.md", "morning-after.md", *LONG}
PAGES_AT_ONCE = 4

Performed = dict[Path, Future[list[str]]]

LINK = re.compile(r"(?<!!)\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*)$", re.MULTILINE)


def text_of(name: str) -> str:
    """A page of the documentation."""
    return (DOCS / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^( *)(```+).*?^\1\2 *$", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def made() -> Iterator[ModuleType]:
    """The script that makes parts of the pages."""
    place = ROOT / "scripts" / "gen_docs.py"
    spec = importlib.util.spec_from_file_location("gen_docs", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    path = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path


# --- programs and transcripts -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def performed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Performed]:
    """What is wrong with each page that a test asks for. Most of a page's time is waiting, so they are done side by side."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function) and "performed" in item.fixturenames]
    pages = [page for test in tests if isinstance(page := test.callspec.params["page"], Path)]
    with ThreadPoolExecutor(PAGES_AT_ONCE) as pool:
        yield {page: pool.submit(perform, page, tmp_path_factory.mktemp(page.stem), gaps=page.name in SHORT) for page in pages}


@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in NOT_TYPED], ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page: Path, performed: Performed) -> None:
    """Every program of a page runs, and every command prints what is shown and ends as it is said."""
    wrong = performed[page].result()
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_what_it_says(page: Path) -> None:
    """Python is Python, YAML is YAML, a console block begins with a command, and each block has a language."""
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name} line {block.line}"
        assert block.language, f"{where}: the block has no language"
        if block.language == "python":
            ast.parse(block.text, where)
        elif block.language == "yaml":
            yaml.safe_load(block.text)
        elif block.language == "console":
            assert typed(block), f"{where}: nothing is typed in it"


def test_a_transcript_that_is_not_what_comes_is_found(tmp_path: Path) -> None:
    """Wrong output, a wrong exit code and a program that fails are each told, with the line of the page."""
    page = tmp_path / "wrong.md"
    page.write_text(
        "```console\n$ echo one\ntwo\n$ false\n$ true # exit code 1\n$ printf 'a\\nb\\n'\na\n…\n```\n\n"
        "```python\n# file: fails.py\n1 / 0\n```\n"
    )
    wrong = perform(page, tmp_path / "there")
    assert [line.partition(":")[0] for line in wrong] == [f"wrong.md line {line}" for line in (2, 4, 5, 11)]


@pytest.mark.parametrize(
    ("shown", "came", "fits"),
    [
        ((), [], True),
        ((), ["a"], False),
        (("a", "…", "d"), ["a", "b", "c", "d"], True),
        (("a", "…", "d"), ["a", "b", "c"], False),
        (("done in …: 7",), ["done in 3ms: 7"], True),
        (("done in 1ms: 7",), ["done in 12.5ms: 7"], True),
        (("done in 1ms: 7",), ["done in 1ms: 8"], False),
        (("at 2026-11-20T13:51:04.903Z x",), ["at 2027-01-02T03:04:05.678Z x"], True),
        (("id    is",), ["id  is"], True),
    ],
)
def test_what_is_shown_fits_what_came_but_for_what_is_fleeting(shown: tuple[str, ...], came: list[str], fits: bool) -> None:
    """Times, lengths of time and widths of columns differ from run to run; everything else is the same, or it is wrong."""
    assert same(shown, came) is fits


# --- made from the code -------------------------------------------------------------------------------------------


def test_what_is_made_from_the_code_is_up_to_date(made: ModuleType) -> None:
    """The tables of the core and the help of the commands stand in the pages as the code has them."""
    old = [page.name for page in made.outdated()]
    assert not old, f"{', '.join(old)} is out of date: python scripts/gen_docs.py"


def test_every_made_part_stands_in_some_page(made: ModuleType) -> None:
    """A table that is made is also shown, once."""
    shown = [name for page in PAGES for name in re.findall(r"<!-- made by scripts/gen_docs\.py: ([\w-]+) -->", page.read_text())]
    assert sorted(shown) == sorted(made.PARTS)


def test_an_edited_part_is_found_and_made_anew(made: ModuleType) -> None:
    """A hand that changes a made table is noticed, and the script undoes it."""
    page = text_of("recovery.md")
    edited = page.replace("it did not happen |", "it happened |", 1)
    assert edited != page
    assert made.made_anew(edited) == page


# --- nothing is left out ------------------------------------------------------------------------------------------


def test_every_command_is_documented(made: ModuleType) -> None:
    """Each command has its help in the page of the command line."""
    page = text_of("cli.md")
    missing = [name for name in made.commands() if f"\n## holdfast {name}\n" not in page]
    assert not missing


def rows(page: str) -> set[str]:
    """What the first cells of a page's tables name."""
    return {
        name
        for line in text_of(page).splitlines()
        if line.startswith("| ")
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    }


def test_every_key_of_a_plan_file_is_documented() -> None:
    """Keys of the file, of a step and of the limits each have their row."""
    assert {*planfile.FILE_KEYS, *planfile.STEP_KEYS, *planfile.LIMIT_KEYS} <= rows("plans.md")
    assert {*get_args(OnFailure)} <= rows("plans.md")
    assert set(planfile.LIMIT_KEYS.values()) == set(Limits.__struct_fields__)


def test_every_option_of_a_tool_is_documented() -> None:
    """Each argument of `@tool`, each field of `Call` and each failure that a tool can raise has its row."""
    options = set(inspect.signature(holdfast.tool).parameters) - {"function"}
    assert options <= rows("tools.md")
    fields = set(holdfast.Call.__struct_fields__)
    assert fields <= rows("tools.md")
    raised = {row.partition("(")[0] for row in rows("tools.md")}
    kinds = {kind for kind in get_args(FailureKind) if kind != "crashed"}  # What a tool does without saying so.
    assert {failure.__name__ for failure in holdfast.ToolFailure.__subclasses__() if failure.kind in kinds} <= raised


def test_every_public_name_is_somewhere_in_the_documentation() -> None:
    """What `holdfast` offers can be found by who looks for it."""
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    missing = [name for name in holdfast.__all__ if not re.search(rf"\b{name}\b", pages)]
    assert not missing


# --- links and the site -------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """The anchor of a heading, as the site and GitHub make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower()).strip())


def anchors(page: Path) -> set[str]:
    """The anchors of a page."""
    return {anchor(heading) for heading in HEADING.findall(prose(page.read_text(encoding="utf-8")))}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file of the repository, and each anchor in it, is there."""
    broken = []
    for target in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, place = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (place and place not in anchors(there)):
            broken.append(target)
    assert not broken, f"{page.name}: {broken}"


def test_every_page_is_in_the_navigation() -> None:
    """The site's menu has each page, and no page that is not there."""
    menu = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert sorted(page for entry in menu for page in entry.values()) == sorted(page.name for page in DOCS.glob("*.md"))


@pytest.mark.skipif(importlib.util.find_spec("zensical") is None, reason="the builder of the site is not installed; `make docs`")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """`make docs` succeeds: no page is missing, no link is broken."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert built.returncode == 0, built.stdout + built.stderr


def test_blocks_are_found_as_they_stand() -> None:
    """A block has its language, its text without the indent of the list it stands in, and its line."""
    found = blocks("a\n\n- b\n\n  ```python\n  # file: x.py\n  if 1:\n      pass\n  ```\n")
    assert found == [Block("python", "# file: x.py\nif 1:\n    pass\n", 5)]
    assert found[0].file == "x.py"
