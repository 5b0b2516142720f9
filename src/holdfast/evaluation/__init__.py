"""Evaluation: cases (a goal, a world, what must hold afterwards) run against an agent, and two versions of it side by side.

    suite = casefile.load(Path("refunds.yaml"))
    done = await evaluate(suite, agent, Terms(out=Path("out"), seed=7))
    side_by_side = compare(results.read(Path("old")), results.read(Path("out")))

What became of a case is read from the ledger of its world, never from the agent's own words, and never from our journal alone: a
run whose journal and whose ledger disagree is wrong, whatever else is expected of it.
"""

from holdfast.evaluation.comparing import Comparison as Comparison
from holdfast.evaluation.comparing import compare as compare
from holdfast.evaluation.records import Case as Case
from holdfast.evaluation.records import Suite as Suite
from holdfast.evaluation.results import CaseRun as CaseRun
from holdfast.evaluation.results import Header as Header
from holdfast.evaluation.results import Results as Results
from holdfast.evaluation.running import Terms as Terms
from holdfast.evaluation.running import evaluate as evaluate
from holdfast.evaluation.scripted import ScriptedWorld as ScriptedWorld
from holdfast.evaluation.world import Effect as Effect
from holdfast.evaluation.world import Setting as Setting
from holdfast.evaluation.world import World as World
