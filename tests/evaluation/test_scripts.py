"""Scripts of models in YAML: each form of a turn, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import DefinitionError, LoadError
from holdfast.evaluation import scripts
from holdfast.testing.models import ScriptedModel, Tries, Turn, call, cut, fault, refuse, say, think, tries
from tests.evaluation.kit import written


@pytest.mark.parametrize(("form", "turn"), [
    ("Done.", [say("Done.")]),
    ({"call": "buy", "args": {"tool": "x", "item": "pen"}}, [call("buy", tool="x", item="pen")]),
    ([{"think": "Hm."}, {"call": "buy"}, "Now."], [think("Hm."), call("buy"), say("Now.")]),
    ({"fault": "overloaded"}, fault("overloaded")), ({"refuse": "No."}, refuse("No.")), ({"cut": "The fir"}, cut("The fir")),
    ({"tries": [{"fault": "timeout"}, "Done."]}, tries(fault("timeout"), [say("Done.")])),
])  # fmt: skip
def test_each_form_of_a_turn_is_what_the_kit_says(form: Any, turn: Any) -> None:
    """The same as its word in Python."""
    (made,) = scripts.checked([form], Path()).turns
    assert made == turn and isinstance(made, (list, Turn, Tries))


@pytest.mark.parametrize(("form", "said"), [
    (3, "3 is no model"), ([], "at least one turn"), ("sonnet", "no name of a model"), ([{"cal": "x"}], "'cal' is not a part"),
    ([7], "it is a number"), ([{"fault": "slow"}], "fault is 'slow'"), ([{"tries": []}], "tries is a list of turns"),
    ([{"refuse": 1}], "refuse is a number"), ([{"fault": "timeout", "cut": "x"}], "stand alone"), ([{"call": 1}], "it is one of a text"),
    ([{"say": "x", "think": "y"}], "it is one of a text"),
])  # fmt: skip
def test_what_is_no_script_is_refused_with_its_place(form: Any, said: str) -> None:
    """By the number of the turn."""
    with pytest.raises(DefinitionError, match=said):
        scripts.checked(form, Path())


def test_scripts_are_found_beside_the_case_file(tmp_path: Path) -> None:
    """In YAML, or in Python: a list, a function, a model."""
    written(tmp_path, "turns.yaml", ["Done."])
    (tmp_path / "eval_minds.py").write_text(
        "from holdfast.testing.models import ScriptedModel\nturns = ['a', 'b']\nmodel = ScriptedModel(turns, name='m')\n"
        "def ask(request):\n    return 'c'\nnothing = 3\n"
    )
    assert scripts.checked("turns.yaml", tmp_path).turns == ([say("Done.")],)
    for name, script in (("turns", "scripted:script"), ("model", "scripted:m"), ("ask", "scripted:script")):
        model = scripts.model_of(scripts.checked(f"eval_minds.py:{name}", tmp_path))
        assert isinstance(model, ScriptedModel) and model.name == script
    with pytest.raises(LoadError, match="is no script"):
        scripts.checked("eval_minds.py:nothing", tmp_path)
    with pytest.raises(LoadError, match="cannot be read"):
        scripts.checked("none.yaml", tmp_path)


def test_a_script_is_anew_in_each_run() -> None:
    """What one run was told is not told again to the next one, from where it stood."""
    chosen = scripts.checked(["a"], Path())
    first, second = scripts.model_of(chosen), scripts.model_of(chosen)
    assert first is not second
    model = ScriptedModel(["a"], name="m")
    assert scripts.anew(model) is not model and scripts.anew(model).script is model.script
