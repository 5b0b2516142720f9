"""State and entries → what people and machines are shown. Pure: no clock, no store, no terminal.

A `Summary` says how a run stands: what is done, what is not, what is unknown, what it waits for and until when. A `Tree`
adds its steps one by one with what happened to each. `--json` prints these records as they are; tables and trees for
people are drawn from them and from nothing else.
"""

from holdfast.views.beliefs import FactView as FactView
from holdfast.views.beliefs import fact_views as fact_views
from holdfast.views.beliefs import source_words as source_words
from holdfast.views.contracts import Case as Case
from holdfast.views.contracts import PolicyView as PolicyView
from holdfast.views.contracts import RuleView as RuleView
from holdfast.views.contracts import ToolView as ToolView
from holdfast.views.contracts import crash_cases as crash_cases
from holdfast.views.contracts import ladder_words as ladder_words
from holdfast.views.contracts import policy_view as policy_view
from holdfast.views.contracts import tool_view as tool_view
from holdfast.views.entries import ON_STOP as ON_STOP
from holdfast.views.entries import EntryLine as EntryLine
from holdfast.views.entries import changes_words as changes_words
from holdfast.views.entries import cut_words as cut_words
from holdfast.views.entries import entry_line as entry_line
from holdfast.views.entries import replaced_words as replaced_words
from holdfast.views.entries import told as told
from holdfast.views.entries_thinking import FINISHES as FINISHES
from holdfast.views.entries_thinking import FOR_PHASE as FOR_PHASE
from holdfast.views.entries_thinking import answered_words as answered_words
from holdfast.views.entries_thinking import call_words as call_words
from holdfast.views.entries_thinking import routes_words as routes_words
from holdfast.views.forks import ForkView as ForkView
from holdfast.views.forks import Unanswered as Unanswered
from holdfast.views.forks import fork_view as fork_view
from holdfast.views.forks import unanswered as unanswered
from holdfast.views.gates import GateView as GateView
from holdfast.views.gates import gate_view as gate_view
from holdfast.views.memory import RecalledView as RecalledView
from holdfast.views.minds import AsksView as AsksView
from holdfast.views.minds import MindView as MindView
from holdfast.views.minds import SpentView as SpentView
from holdfast.views.minds import ThinkingView as ThinkingView
from holdfast.views.minds import TurnView as TurnView
from holdfast.views.minds import asking_words as asking_words
from holdfast.views.minds import form_words as form_words
from holdfast.views.minds import mind_view as mind_view
from holdfast.views.minds import prepared as prepared
from holdfast.views.minds import spent_briefly as spent_briefly
from holdfast.views.minds import spent_view as spent_view
from holdfast.views.minds import spent_words as spent_words
from holdfast.views.minds import turn_views as turn_views
from holdfast.views.owed import ABOUT as ABOUT
from holdfast.views.owed import OwedLine as OwedLine
from holdfast.views.owed import OwedView as OwedView
from holdfast.views.owed import owed_line as owed_line
from holdfast.views.owed import owed_words as owed_words
from holdfast.views.runs import PLACES as PLACES
from holdfast.views.runs import Counted as Counted
from holdfast.views.runs import Question as Question
from holdfast.views.runs import RunLine as RunLine
from holdfast.views.runs import Summary as Summary
from holdfast.views.runs import Unheard as Unheard
from holdfast.views.runs import run_line as run_line
from holdfast.views.runs import summary as summary
from holdfast.views.steps import ChildView as ChildView
from holdfast.views.steps import StepView as StepView
from holdfast.views.steps import Tree as Tree
from holdfast.views.steps import tree as tree
from holdfast.views.steps import under_way as under_way
from holdfast.views.words import amount as amount
from holdfast.views.words import cut as cut
from holdfast.views.words import listed as listed
from holdfast.views.words import moment as moment
from holdfast.views.words import reserved_words as reserved_words
from holdfast.views.words import size as size
from holdfast.views.words import span as span
from holdfast.views.words import usage_words as usage_words
from holdfast.views.words import usd as usd
