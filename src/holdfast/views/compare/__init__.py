"""Two runs, or two plans, side by side: what is the same in both, and what is not. Pure, like all views.

`sides.py` makes a `Side` of a run's entries or of a plan; `compare` aligns the steps of two of them and says what differs, as a
`Comparison`, whose `sentence` is what a person needs first. `text.py` of the command line and `markdown` draw it.
"""

from holdfast.views.compare.comparing import compare as compare
from holdfast.views.compare.markdown import markdown as markdown
from holdfast.views.compare.records import Change as Change
from holdfast.views.compare.records import Comparison as Comparison
from holdfast.views.compare.records import Pair as Pair
from holdfast.views.compare.records import Side as Side
from holdfast.views.compare.records import SideView as SideView
from holdfast.views.compare.records import StepSide as StepSide
from holdfast.views.compare.sides import entry_before as entry_before
from holdfast.views.compare.sides import plan_side as plan_side
from holdfast.views.compare.sides import revision_side as revision_side
from holdfast.views.compare.sides import run_side as run_side
from holdfast.views.compare.values import changes as changes
