"""Why a run, a step or an entry is as it is: a record that prints as JSON, and lines of it; `markdown.py` makes a page of it."""

from holdfast.views.why.building import NoSuchStep as NoSuchStep
from holdfast.views.why.building import why as why
from holdfast.views.why.lines import ask_lines as ask_lines
from holdfast.views.why.lines import head_lines as head_lines
from holdfast.views.why.lines import step_lines as step_lines
from holdfast.views.why.records import Ask as Ask
from holdfast.views.why.records import Attempt as Attempt
from holdfast.views.why.records import EntryWhy as EntryWhy
from holdfast.views.why.records import FactThen as FactThen
from holdfast.views.why.records import ForkWhy as ForkWhy
from holdfast.views.why.records import Link as Link
from holdfast.views.why.records import StepLine as StepLine
from holdfast.views.why.records import StepWhy as StepWhy
from holdfast.views.why.records import Why as Why
