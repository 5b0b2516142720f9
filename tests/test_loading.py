"""What is named on a command line becomes agents, inputs and rows, or one clear error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast import loading
from holdfast.errors import DefinitionError, LoadError, PlanError, UsageError

TOOLS = "from holdfast import tool\n@tool(safety='read')\ndef look(name: str = 'x') -> str:\n    return name\n"
AGENT = (
    "from holdfast import Agent\nfrom kitchen import look\nagent = Agent('cook', tools=[look], plan={'a': {'tool': 'look'}})\n"
)


@pytest.fixture(autouse=True)
def _forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules of one test are none of the next one's business."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, **files: str) -> Path:
    """Files by name, where __ stands for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


# --- agents -------------------------------------------------------------------------------------------------------


def test_the_agent_of_a_python_file_is_found_and_its_folder_is_importable(tmp_path: Path) -> None:
    """Files beside it are imported by their names."""
    write(tmp_path, kitchen__py=TOOLS, cook__py=AGENT)
    assert loading.agent_of(str(tmp_path / "cook.py")).name == "cook"


def test_a_file_that_is_named_twice_runs_once(tmp_path: Path) -> None:
    """The same agent comes back."""
    write(tmp_path, kitchen__py=TOOLS, cook__py=AGENT + "print('ran')\n")
    assert loading.agent_of(str(tmp_path / "cook.py")) is loading.agent_of(str(tmp_path / "cook.py"))


def test_an_agent_is_picked_by_its_variable_or_its_name(tmp_path: Path) -> None:
    """Where a file has several, one must be named."""
    write(
        tmp_path,
        both__py="from holdfast import Agent\none = Agent('first', reasoner=print)\ntwo = Agent('second', reasoner=print)\n",
    )
    file = str(tmp_path / "both.py")
    assert loading.agent_of(f"{file}:one").name == "first"
    assert loading.agent_of(f"{file}:second").name == "second"
    assert [agent.name for agent in loading.agents_of(file)] == ["first", "second"]
    with pytest.raises(LoadError, match="has 2 agents"):
        loading.agent_of(file)
    with pytest.raises(LoadError, match=r"has no agent secnd \(did you mean second\?\)"):
        loading.agent_of(f"{file}:secnd")


def test_an_agent_with_two_names_is_one_agent(tmp_path: Path) -> None:
    """No choice is asked for where there is none."""
    write(tmp_path, one__py="from holdfast import Agent\na = b = Agent('x', reasoner=print)\n")
    assert loading.agent_of(str(tmp_path / "one.py")).name == "x"


def test_a_module_is_named_with_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is importable for it."""
    write(tmp_path / "shop", kitchen__py=TOOLS, agents__py=AGENT.replace("kitchen", "shop.kitchen"))
    (tmp_path / "shop" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    assert loading.agent_of("shop.agents:agent").name == "cook"
    assert loading.agent_of("shop.agents").name == "cook"
    with pytest.raises(LoadError, match=r"there is no file or module shop\.agnets"):
        loading.agent_of("shop.agnets")


def test_a_module_that_misses_another_names_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not itself."""
    write(tmp_path, needy__py="import no_such_library\n")
    monkeypatch.chdir(tmp_path)
    for name in ("needy", "needy.py"):
        with pytest.raises(LoadError, match="cannot be imported: No module named 'no_such_library'"):
            loading.agent_of(name)


@pytest.mark.parametrize("stem", ["my-agent", "token", "2nd", "conftest"])
def test_any_name_of_a_file_will_do(tmp_path: Path, stem: str) -> None:
    """Also one that is no identifier, one of the standard library, and one that is taken."""
    import token

    file = tmp_path / f"{stem}.py"
    file.write_text("from holdfast import Agent\nagent = Agent('x', reasoner=print)\n")
    assert loading.agent_of(str(file)).name == "x"
    assert token.NAME == 1 and sys.modules["token"] is token


def test_two_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    """Each plan has the tools that lie beside it."""
    for name in ("first", "second"):
        write(
            tmp_path / name, tools__py=TOOLS.replace("look", f"look_{name}"),
            plan__yaml=f"agent: {name}\ntools: tools.py\nsteps: {{a: {{tool: look_{name}}}}}\n",
        )  # fmt: skip
    for name in ("first", "second"):
        assert list(loading.agent_of(str(tmp_path / name / "plan.yaml")).toolbox) == [f"look_{name}"]


def test_a_file_that_failed_to_import_can_be_mended_and_named_again(tmp_path: Path) -> None:
    """Nothing half-made stays behind."""
    file = tmp_path / "broken.py"
    file.write_text("raise ValueError('no')\n")
    with pytest.raises(LoadError, match="line 1 fails when it is imported: ValueError: no"):
        loading.agent_of(str(file))
    file.write_text("from holdfast import Agent\nagent = Agent('mended', reasoner=print)\n")
    assert loading.agent_of(str(file)).name == "mended"


def test_the_line_of_an_error_is_that_of_the_file_itself(tmp_path: Path) -> None:
    """Not that of the library below it."""
    write(tmp_path, deep__py="import json\n\nVALUE = json.loads('{')\n")
    with pytest.raises(LoadError, match=r"deep\.py line 3 fails when it is imported: JSONDecodeError"):
        loading.agent_of(str(tmp_path / "deep.py"))


def test_errors_of_declarations_go_through_as_they_are(tmp_path: Path) -> None:
    """They say enough by themselves."""
    write(tmp_path, bad__py="from holdfast import tool\n@tool(safety='keyed')\ndef f() -> str: ...\n")
    with pytest.raises(DefinitionError, match="tool f: keyed needs key_ttl"):
        loading.load(str(tmp_path / "bad.py"))


def test_a_plan_takes_tools_from_files_and_from_modules(tmp_path: Path) -> None:
    """Several, in a list; a tool that two of them have is one tool."""
    write(
        tmp_path, kitchen__py=TOOLS, more__py="from kitchen import look\n" + TOOLS.replace("look", "taste"),
        plan__yml="tools: [kitchen.py, more]\nsteps: {a: {tool: look}, b: {tool: taste}}\n",
    )  # fmt: skip
    agent = loading.agent_of(str(tmp_path / "plan.yml"))
    assert (agent.name, sorted(agent.toolbox), agent.source) == ("plan", ["look", "taste"], str(tmp_path / "plan.yml"))


def test_a_plan_in_json_is_json(tmp_path: Path) -> None:
    """With tabs, and with escapes that a reader of YAML would take apart."""
    write(
        tmp_path,
        kitchen__py=TOOLS,
        plan__json='{\n\t"goal": "\\ud83d\\ude00",\n\t"tools": "kitchen.py",\n\t"steps": {"a": {"tool": "look"}}\n}',
    )
    assert loading.agent_of(str(tmp_path / "plan.json")).goal == "😀"


def test_a_plan_is_picked_by_its_agents_name(tmp_path: Path) -> None:
    """Any other name is wrong."""
    write(tmp_path, kitchen__py=TOOLS, plan__yaml="agent: cook\ntools: kitchen.py\nsteps: {a: {tool: look}}\n")
    assert loading.agent_of(f"{tmp_path / 'plan.yaml'}:cook").name == "cook"
    with pytest.raises(LoadError, match="has no agent cok"):
        loading.agent_of(f"{tmp_path / 'plan.yaml'}:cok")


def test_all_problems_of_a_plan_come_at_once(tmp_path: Path) -> None:
    """Also that it names no tools."""
    write(tmp_path, plan__yaml="steps: {a: {tool: look}, b: {tool: taste}}\n")
    with pytest.raises(PlanError) as found:
        loading.agent_of(str(tmp_path / "plan.yaml"))
    assert len(found.value.problems) == 3


# --- agents below agents ----------------------------------------------------------------------------------------------


def test_a_plan_takes_agents_from_plans_files_and_modules(tmp_path: Path) -> None:
    """Relative to itself; one of several by its name."""
    write(
        tmp_path, kitchen__py=TOOLS, cook__py=AGENT, bake__py=AGENT.replace("cook", "bake") + "other = Agent('fry', reasoner=print)\n",
        wash__yaml="tools: kitchen.py\nsteps: {a: {tool: look}}\n",
        plan__yaml="on_stop: undo\nagents: [cook.py, wash.yaml, 'bake.py:bake']\nsteps: {a: {agent: cook}, b: {agent: wash, goal: shine}, c: {agent: bake}}\n",
        named__yaml="agents: cook\nsteps: {a: {agent: cook}}\n",
    )  # fmt: skip
    agent = loading.agent_of(str(tmp_path / "plan.yaml"))
    assert (list(agent.agents), agent.on_stop) == (["cook", "wash", "bake"], "undo")
    assert agent.agents["cook"] is loading.agent_of(str(tmp_path / "cook.py"))
    assert list(loading.agent_of(str(tmp_path / "named.yaml")).agents) == ["cook"]


def test_a_plan_that_two_others_name_is_one_agent(tmp_path: Path) -> None:
    """By whatever path; so it has one name, and works once for both."""
    (tmp_path / "sub").mkdir()
    write(
        tmp_path, kitchen__py=TOOLS, last__yaml="tools: kitchen.py\nsteps: {a: {tool: look}}\n",
        one__yaml="agents: last.yaml\nsteps: {a: {agent: last}}\n", top__yaml="agents: [one.yaml, sub/two.yaml]\nsteps: {a: {agent: one}, b: {agent: two}}\n",
    )  # fmt: skip
    (tmp_path / "sub" / "two.yaml").write_text("agents: ../last.yaml\nsteps: {a: {agent: last}}\n")
    top = loading.agent_of(str(tmp_path / "top.yaml"))
    assert list(top.family()) == ["one", "last", "two"]


def test_plans_that_name_one_another_in_a_circle_are_one_error(tmp_path: Path) -> None:
    """With the way round; also a plan that names itself."""
    for name, other in (("a", "b"), ("b", "c"), ("c", "b"), ("self", "self")):
        (tmp_path / f"{name}.yaml").write_text(f"agents: {other}.yaml\nsteps: {{s: {{agent: {other}}}}}\n")
    with pytest.raises(LoadError, match=r"the files b\.yaml → c\.yaml → b\.yaml name one another in `agents` in a circle"):
        loading.agent_of(str(tmp_path / "a.yaml"))
    with pytest.raises(LoadError, match=r"the files self\.yaml → self\.yaml name one another"):
        loading.agent_of(str(tmp_path / "self.yaml"))


def test_what_is_wrong_with_the_agents_of_a_plan_is_said(tmp_path: Path) -> None:
    """A file that is not there, one without an agent, a problem in the one below, a name that a tool has."""
    write(
        tmp_path, kitchen__py=TOOLS, cook__py=AGENT, none__yaml="agents: kitchen.py\nsteps: {a: {agent: x}}\n",
        gone__yaml="agents: cok.py\nsteps: {a: {agent: cook}}\n", below__yaml="agents: wrong.yaml\nsteps: {a: {agent: wrong}}\n",
        wrong__yaml="tools: kitchen.py\nsteps: {a: {tool: lok}}\n",
        clash__yaml="tools: kitchen.py\nagents: look.yaml\nsteps: {a: {agent: look}}\n", look__yaml="tools: kitchen.py\nsteps: {a: {tool: look}}\n",
    )  # fmt: skip
    for name, kind, said in (
        ("none", LoadError, r"none\.yaml: `agents` names kitchen\.py, which has no Agent"),
        ("gone", LoadError, r"there is no file .*cok\.py \(did you mean cook\.py\?\)"),
        ("below", PlanError, r"wrong\.yaml has 1 problem:\n  - step a: there is no tool lok"),
        ("clash", DefinitionError, r"clash\.yaml: agent clash: a tool and an agent of it are both called look"),
    ):
        with pytest.raises(kind, match=said):
            loading.agent_of(str(tmp_path / f"{name}.yaml"))


# --- inputs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("-2.5", -2.5), ("1e3", 1000.0), ("true", True), ("false", False), ('"7"', "7"), ("[1, 2]", [1, 2]),
        ('{"a": null}', {"a": None}), ("null", "null"), ("007", "007"), ("0049 30 1234", "0049 30 1234"), ("True", "True"),
        ("Oslo", "Oslo"), ("a=b", "a=b"), ("", ""), ("{oops", "{oops"), ("NaN", "NaN"), ("Infinity", "Infinity"),
        ("1e999", "1e999"),        (" 7 ", 7), ("2026-11-20", "2026-11-20"),
    ],
)  # fmt: skip
def test_a_value_is_json_where_it_is_and_else_text(text: str, value: Any) -> None:
    """Text that looks like a number is given in quotes."""
    found = loading.value_of(text)
    assert (found, type(found)) == (value, type(value))


def test_inputs_come_from_words_and_from_files(tmp_path: Path) -> None:
    """A single one wins over that of a file, whatever their order."""
    (tmp_path / "all.json").write_text('\ufeff{"city": "Oslo", "days": 3}', encoding="utf-8")
    (tmp_path / "guest.json").write_text('{"name": "Ann"}')
    given = ["days=4", f"@{tmp_path / 'all.json'}", f"guest=@{tmp_path / 'guest.json'}", "why=a=b"]
    assert loading.inputs_of(given) == {"city": "Oslo", "days": 4, "guest": {"name": "Ann"}, "why": "a=b"}


# --- rows ---------------------------------------------------------------------------------------------------------


def rows_of(tmp_path: Path, text: str) -> list[loading.CsvRow]:
    """The rows of a file with this text."""
    (tmp_path / "rows.csv").write_bytes(text.encode())
    return loading.csv_rows(str(tmp_path / "rows.csv"))


def test_rows_keep_their_text(tmp_path: Path) -> None:
    """Quotes, commas, line ends within quotes, spaces, a byte-order mark, either end of line; empty lines are passed over."""
    rows = rows_of(tmp_path, '\ufeffuser, name \r\nann,"Ann, ""the"" cook"\r\n\r\nbob," Bob\nB "\r\n')
    assert [row.values for row in rows] == [{"user": "ann", "name": 'Ann, "the" cook'}, {"user": "bob", "name": " Bob\nB "}]
    assert [row.line for row in rows] == [2, 5]


def test_ids_are_made_from_columns(tmp_path: Path) -> None:
    """Braces that are no column are doubled."""
    rows = rows_of(tmp_path, "user,desk\nann,7\nbob,8\n")
    assert loading.ids_of(rows, "hire-{user}-{desk}", "rows.csv") == ["hire-ann-7", "hire-bob-8"]
    assert loading.ids_of(rows, "{{{user}}}", "rows.csv") == ["{ann}", "{bob}"]


def test_a_template_without_a_column_suits_one_row_only(tmp_path: Path) -> None:
    """Two rows would be one run."""
    assert loading.ids_of(rows_of(tmp_path, "user\nann\n"), "hire", "rows.csv") == ["hire"]
    with pytest.raises(UsageError, match="lines 2 and 3 both give the id hire"):
        loading.ids_of(rows_of(tmp_path, "user\nann\nbob\n"), "hire", "rows.csv")


@pytest.mark.parametrize("template", ["{user.__class__}", "{user[0]}", "{0}", "{}", "{user:>9}", "{user!r}", "{user"])
def test_a_template_can_do_nothing_but_name_columns(tmp_path: Path, template: str) -> None:
    """No attributes, places, formats."""
    with pytest.raises(UsageError, match="--id"):
        loading.ids_of(rows_of(tmp_path, "user\nann\n"), template, "rows.csv")
