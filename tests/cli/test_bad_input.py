"""Whatever is wrong with what was typed, named or written: one clear message, the right exit code, and nothing began."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.kit import Cli

# Files that the rows of the table name, beside the tools and plans of every test.
FILES: dict[str, str | bytes] = {
    "same.yaml": "agent: quick\ntools: tools.py\nsteps: {a: {tool: look, args: {name: x}}}\n",
    "broken.py": "from holdfast import Agent\n\ndef f(:\n",
    "raises.py": "import os\n\nraise RuntimeError('no luck')\n",
    "leaves.py": "import sys\nsys.exit(3)\n",
    "empty.py": "",
    "latin.py": "name = 'é'\n".encode("latin-1"),
    "needs.py": "import no_such_library\n",
    "two.py": "from holdfast import Agent\none = Agent('first', reasoner=print)\nother = Agent('second', reasoner=print)\n",
    "promises.py": "from holdfast import tool\n@tool(safety='keyed')\ndef f() -> str: ...\n",
    "unplanned.py": "from holdfast import Agent\nagent = Agent('none')\n",
    "text.txt": "hello",
    "list.yaml": "- a\n- b\n",
    "tab.yaml": "goal: x\n\tsteps: 1\n",
    "latin.yaml": "goal: é\n".encode("latin-1"),
    "twice.yaml": "goal: x\ngoal: y\nsteps: {}\n",
    "alias.yaml": "a: &a {tool: look}\nsteps: {x: *a}\n",
    "norway.yaml": "tools: tools.py\nsteps: {no: {tool: look, args: {name: x}}}\n",
    "half.yaml": 'goal: "\\ud800"\ntools: tools.py\nsteps: {a: {tool: look, args: {name: x}}}\n',
    "endless.yaml": "tools: tools.py\nsteps: {a: {tool: look, args: {name: .inf}}}\n",
    "twice.json": '{"goal": "x", "goal": "y"}',
    "nosteps.yaml": "goal: x\ntools: tools.py\n",
    "key.yaml": "tools: tools.py\nstps: {}\nsteps: {a: {tool: look, args: {name: x}}}\n",
    "toolless.yaml": "steps: {a: {tool: look}}\n",
    "nofile.yaml": "tools: tolls.py\nsteps: {a: {tool: look}}\n",
    "notool.yaml": "tools: empty.py\nsteps: {a: {tool: look}}\n",
    "nomodule.yaml": "tools: no.such.module\nsteps: {a: {tool: look}}\n",
    "unknown.yaml": "tools: tools.py\nsteps: {a: {tool: loook, args: {name: x}}}\n",
    "args.yaml": "tools: tools.py\nsteps: {a: {tool: look, args: {nmae: x}}}\n",
    "type.yaml": "tools: tools.py\nsteps: {a: {tool: pay, args: {to: 7}}}\n",
    "ref.yaml": "tools: tools.py\nsteps: {a: {tool: look, args: {name: {$ref: steps.b}}}}\n",
    "path.yaml": """
tools: tools.py
steps:
  a: {tool: grant, args: {name: x}}
  b: {tool: look, args: {name: {$ref: steps.a.nme}}}
""",
    "input.yaml": "tools: tools.py\ninputs: {name: {}}\nsteps: {a: {tool: look, args: {name: {$ref: inputs.nam}}}}\n",
    "circle.yaml": """
tools: tools.py
steps:
  a: {tool: look, args: {name: x}, after: b}
  b: {tool: look, args: {name: x}, after: a}
""",
    "retry.yaml": "tools: tools.py\nsteps: {a: {tool: pay, args: {to: x}, retry: 3}}\n",
    "time.yaml": "tools: tools.py\nsteps: {a: {tool: look, args: {name: x}, timeout: soon}}\n",
    "limit.yaml": "tools: tools.py\nlimits: {parallel: 0}\nsteps: {a: {tool: look, args: {name: x}}}\n",
    "approve.yaml": "tools: tools.py\nsteps: {a: {tool: pay, args: {to: x}, approve: never}}\n",
    "my plan.yaml": "tools: tools.py\nsteps: {a: {tool: look, args: {name: x}}}\n",
    "bad.json": "{",
    "list.json": "[1]",
    "latin.json": '{"name": "é"}'.encode("latin-1"),
    "rows.csv": "user,name\nann,Ann\n",
    "same.csv": "user,name\nann,A\nann,B\n",
    "empty.csv": "",
    "header.csv": "user,name\n",
    "short.csv": "user,name\nann\n",
    "double.csv": "user,user\nann,bob\n",
    "latin.csv": "user\nren\xe9\n".encode("latin-1"),
    "schema.csv": "user\nann\nANN\n",
    "quote.csv": 'user\n"ann\n',
    "not.db": b"not a database at all, " * 100,
}

# The words of a command, a fragment of its one message, its exit code.
TABLE: list[tuple[str, str, int]] = [
    # the command line itself
    ("rnu quick.yaml", "No such command 'rnu'. Did you mean 'run'", 2),
    ("run quick.yaml --bogus", "No such option: --bogus", 2),
    ("run quick.yaml --id", "requires an argument", 2),
    ("run quick.yaml --priority high", "Invalid value for '--priority'", 2),
    ("run quick.yaml one two", "unexpected extra argument", 2),
    ("run quick.yaml --lease 0", "Invalid value for '--lease'", 2),
    ("run quick.yaml --patience soon", "--patience: 'soon' is not a duration", 2),
    ("run quick.yaml --label red", "--label 'red' is not name=text", 2),
    ("run quick.yaml --as hire", "--as names the input of a row, and there is no --each", 2),
    ("run quick.yaml caf\udce9", "is not UTF-8", 2),
    ("run", "it is not said what to run", 2),
    ("run --id nobody --db made.db", "no file to start one from", 2),
    ("runs --status blue --db made.db", "'blue' is not one of 'running'", 2),
    ("schema events", "'events' is not one of 'plan'", 2),
    ("show", "Missing argument 'ID'", 2),
    ("lab nowhere", "nowhere", 2),
    # files and modules
    ("run nosuch.py", "there is no file nosuch.py", 2),
    ("run quik.yaml", "there is no file quik.yaml (did you mean quick.yaml?)", 2),
    ("run .", "is a directory", 2),
    ("run text.txt", "text.txt is no agent", 2),
    ("run no.such.module", "there is no file or module no.such.module", 2),
    ("run quick.yaml:", "names no agent", 2),
    ("run broken.py", "broken.py line 3 is not Python", 2),
    ("run raises.py", "raises.py line 3 fails when it is imported: RuntimeError: no luck", 2),
    ("run leaves.py", "ends the program when it is imported", 2),
    ("run latin.py", "is not UTF-8", 2),
    ("run needs.py", "No module named 'no_such_library'", 2),
    ("run empty.py", "empty.py has no Agent", 2),
    ("run two.py", "two.py has 2 agents — say which: two.py:first, two.py:second", 2),
    ("run two.py:secnod", "two.py has no agent secnod (did you mean second?)", 2),
    ("run promises.py", "tool f: keyed needs key_ttl", 2),
    ("run unplanned.py", "agent none needs either a plan, a reasoner or a model", 2),
    ("work quick.yaml same.yaml --db made.db", "two agents are called quick", 2),
    ("check empty.py", "has neither a tool nor an agent", 2),
    ("work nosuch.py --db made.db", "there is no file nosuch.py", 2),
    # plans
    ("run list.yaml", "list.yaml has 1 problem: it is a list, not a table with `steps`", 2),
    ("run tab.yaml", "tab.yaml is not YAML: line 2", 2),
    ("run latin.yaml", "latin.yaml is not UTF-8: byte 6", 2),
    ("run bad.json", "bad.json is not JSON", 2),
    ("run twice.yaml", "the key 'goal' stands there twice", 2),
    ("run alias.yaml", "alias.yaml has YAML aliases, which are not taken", 2),
    ("run twice.json", "twice.json is not JSON: the key 'goal' stands there twice", 2),
    ("run norway.yaml", "line 2, column 9: the key no is no text to YAML; put it in quotes", 2),
    ("run half.yaml", "half.yaml holds what JSON has not", 2),
    ("run endless.yaml", "endless.yaml holds what JSON has not: a number without end", 2),
    ("run nosteps.yaml", "there are no `steps`", 2),
    ("run key.yaml", "'stps' is not a part of a plan file", 2),
    ("run toolless.yaml", "it names no `tools`", 2),
    ("run nofile.yaml", "there is no file tolls.py (did you mean tools.py?)", 2),
    ("run notool.yaml", "`tools` names empty.py, which has no tool", 2),
    ("run nomodule.yaml", "there is no file or module no.such.module", 2),
    ("run unknown.yaml", "step a: there is no tool loook (did you mean look?)", 2),
    ("run args.yaml", "step a: look has no argument nmae (did you mean name?)", 2),
    ("run type.yaml", 'step a: argument to of pay: 7 is not of type "string"', 2),
    ("run ref.yaml", "step a: steps.b names the step b, which is not there", 2),
    ("run path.yaml", "step b: steps.a.nme: grant returns string there, which has no nme", 2),
    ("run input.yaml", "inputs.nam names the input nam, which is not given (did you mean name?)", 2),
    ("run circle.yaml", "wait for one another in a circle", 2),
    ("run retry.yaml", "pay is irreversible and is never retried by itself", 2),
    ("run time.yaml", "timeout: 'soon' is not a duration", 2),
    ("run limit.yaml", "limits: parallel is a whole number of at least 1, not 0", 2),
    ("run approve.yaml", "approve can only be `always`", 2),
    ("run my+plan.yaml", "'my plan' is no name for an agent", 2),
    ("check args.yaml", "look has no argument nmae", 2),
    # inputs and ids
    ("run grant.yaml", "the input name is missing", 2),
    ("run grant.yaml --input name=ann --input nmae=x", "there is no input nmae", 2),
    ("run grant.yaml --input name=7", "the input name: 7 is not of type", 2),
    ("run grant.yaml --input name", "--input 'name' is not name=value", 2),
    ("run grant.yaml --input name=a --input name=b", "the input name is given twice", 2),
    ("run grant.yaml --input @nosuch.json", "nosuch.json cannot be read: No such file", 2),
    ("run grant.yaml --input @bad.json", "bad.json is not JSON", 2),
    ("run grant.yaml --input @list.json", "list.json does not hold an object", 2),
    ("run grant.yaml --input @latin.json", "latin.json is not UTF-8: byte 10", 2),
    ("run grant.yaml --input name=@", "there is no file named after @", 2),
    ("run quick.yaml --id ''", "'' is no id for a run", 2),
    ("run quick.yaml --id a\x07b", "is no id for a run", 2),
    # tables
    ("run hire.yaml --each rows.csv", "--each needs an id for each run", 2),
    (
        "run hire.yaml --each rows.csv --id hire-{usr}",
        "--id names the column usr, which rows.csv does not have (did you mean user?)",
        2,
    ),
    ("run hire.yaml --each rows.csv --id hire-{user", "is no template", 2),
    ("run hire.yaml --each rows.csv --id hire-{user!r}", "a column stands there by its bare name", 2),
    ("run hire.yaml --each same.csv --as hire --id {user}", "lines 2 and 3 both give the id ann", 2),
    ("run hire.yaml --each nosuch.csv --id {user}", "nosuch.csv cannot be read", 2),
    ("run hire.yaml --each empty.csv --id {user}", "empty.csv is empty", 2),
    ("run hire.yaml --each header.csv --id {user}", "header.csv has a header and no rows", 2),
    ("run hire.yaml --each short.csv --id {user}", "short.csv line 2 has 1 fields, and the header has 2", 2),
    ("run hire.yaml --each double.csv --id {user}", "the column user stands there twice", 2),
    ("run hire.yaml --each latin.csv --id {user}", "latin.csv is not UTF-8: byte 8", 2),
    ("run hire.yaml --each quote.csv --id {user}", "quote.csv line 2 is not CSV", 2),
    ("run hire.yaml --each rows.csv --id {user}", "rows.csv line 2: agent hire: the input hire is missing", 2),
    ("run hire.yaml --each schema.csv --as hire --id {user}", "schema.csv line 3: agent hire: the input hire: user", 2),
    (
        "run hire.yaml --each rows.csv --as hire --id {user} --input hire=1",
        "is the row of rows.csv, and is given by --input too",
        2,
    ),
    # stores
    ("runs --db nosuch.db", "there is no store nosuch.db", 2),
    ("show x --db nosuch.db", "there is no store nosuch.db", 2),
    ("run quick.yaml --db .", "is a directory", 2),
    ("run quick.yaml --db no/such/folder.db", "there is no folder no/such", 2),
    ("run quick.yaml --db postgresql://db/runs", "is no file", 2),
    ("run quick.yaml --db not.db", "the file is not a store of holdfast", 5),
    ("runs --db not.db", "the file is not a store of holdfast", 5),
    # words into runs
    ("show nobody --db made.db", "run nobody: there is no such run in this store", 2),
    ("watch nobody --db made.db", "run nobody: there is no such run in this store", 2),
    ("verify nobody --db made.db", "run nobody: there is no such run in this store", 2),
    ("verify --db made.db", "name the runs to verify, or --all of them", 2),
    ("cancel nobody --db made.db", "run nobody: there is no such run in this store", 2),
    ("answer nobody approve --db made.db", "run nobody: there is no such run in this store", 2),
    ("answer nobody yes --db made.db", "'yes' holds no answer", 2),
    ("answer nobody edit --db made.db", "edit needs the arguments to change", 2),
    ("answer nobody edit a=1 a=2 --db made.db", "an argument is given twice", 2),
    ("answer nobody respond {oops --db made.db", "there is no such run in this store", 2),
    ("answer nobody respond 1 --option 2 --db made.db", "--option is an answer by itself", 2),
    ("answer nobody approve --option 2 --db made.db", "--option is an answer by itself", 2),
    ("show nobody --turns --facts --db made.db", "--facts and --turns are two questions", 2),
    ("show nobody --shown --db made.db", "--shown is of a turn", 2),
    ("run quick.yaml --stream", "agent quick asks none", 2),
    ("run quick.yaml --model openai:gpt-5", "agent quick asks no model", 2),
    ("run quick.yaml --each hires.csv --id a-{user} --stream", "--stream is of one run", 2),
    ("answer nobody approve it --db made.db", "approve takes nothing more", 2),
    ("answer nobody reject no --note no --db made.db", "the reason is given twice", 2),
    ("cancel nobody --undo --keep --db made.db", "--undo and --keep cannot both be meant", 2),
    ("cancel nobody --undo --keep --ask --db made.db", "--undo and --keep and --ask cannot both be meant", 2),
    # what is owed
    ("callback", "Missing argument 'TOKEN'", 2),
    ("callback hfcb_nobody --db made.db", "nobody was given this token", 2),
    ("callback '' --db made.db", "nobody was given this token", 2),
    ("callback hfcb_nobody 1 --db nosuch.db", "there is no store nosuch.db", 2),
    ("callback hfcb_nobody {oops --db made.db", "the result is not JSON", 2),
    ("callback hfcb_nobody NaN --db made.db", "the result is not JSON", 2),
    ("callback hfcb_nobody @nosuch.json --db made.db", "nosuch.json cannot be read", 2),
    ("callback hfcb_nobody @latin.json --db made.db", "latin.json is not UTF-8: byte 10", 2),
    ("callback hfcb_nobody 1 --failed no --db made.db", "a result is given, and that it failed", 2),
    ("callback hfcb_nobody --failed + --db made.db", "--failed needs to say why", 2),
    ("callback hfcb_nobody 1 2 --db made.db", "unexpected extra argument", 2),
    ("signal nobody --db made.db", "Missing argument 'NAME'", 2),
    ("signal nobody paid --db made.db", "run nobody: there is no such run in this store", 2),
    ("signal nobody paid {oops --db made.db", "the value is not JSON", 2),
    ("signal nobody '' --db made.db", "the signal has no name", 2),
    ("pending nobody --db made.db", "run nobody: there is no such run in this store", 2),
    ("pending --limit 0 --db made.db", "Invalid value for '--limit'", 2),
    ("pending --db nosuch.db", "there is no store nosuch.db", 2),
    ("gates open look --db made.db", "'open look' is nothing that gates can do", 2),
    ("gates reset --db made.db", "reset needs one tool", 2),
    ("gates reset look --db made.db", "nothing is known of a gate of look", 2),
    ("show nobody --whole --db made.db", "--whole is of the result of a step", 2),
    ("show nobody --step a --events --db made.db", "--events and --step are two questions", 2),
    ("show nobody --step a --db made.db", "run nobody: there is no such run in this store", 2),
]


@pytest.mark.parametrize(("words", "message", "code"), TABLE, ids=[words for words, _, _ in TABLE])
def test_bad_input_is_one_clear_message_and_nothing_begins(
    cli: Cli, folder: Path, words: str, message: str, code: int, world: object
) -> None:
    """One line (a plan's has one for each problem), on stderr, of ours, and no run in any store."""
    for name, content in FILES.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "made.db").touch()
    given = ["" if word == "''" else word.replace("+", " ") for word in words.split(" ")]
    ended = cli(*given)
    assert ended.code == code, ended
    lines = ended.err.splitlines()
    assert lines and lines[0].startswith("holdfast: "), ended
    assert message in " ".join(line.strip(" -") for line in lines), ended
    assert all(line.startswith("  - ") for line in lines[1:]), ended
    assert "Traceback" not in ended.err + ended.out
    assert ended.out == ""
    assert not (folder / "world.txt").exists()
    assert count_of_runs(folder) == 0


def count_of_runs(folder: Path) -> int:
    """The runs in all stores that a test made."""
    import apsw

    count = 0
    for file in folder.glob("*.db"):
        if file.name != "not.db":
            with apsw.Connection(os.fspath(file)) as connection:
                for (table,) in connection.execute("select name from sqlite_master where name = 'runs'"):
                    count += next(iter(connection.execute(f"select count(*) from {table}")))[0]
    return count


def test_the_count_of_runs_sees_a_run(cli: Cli, folder: Path) -> None:
    """What the table relies on."""
    assert cli("run", "quick.yaml").code == 0
    assert count_of_runs(folder) == 1
