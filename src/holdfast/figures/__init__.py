"""What the record says about people's judgement: figures, suggestions, alarms, and what another policy would have done.

Everything here is drawn from two lists that a store gives: rulings with what came of them (`Journal.judged`), and what is
open (`Journal.inbox`). Nothing is called, nothing is written, and no clock is read. Numbers of nothing are None, never 0 %.
Rows that make no sense (decided before they were asked) are counted where they can be, left out where they cannot, and never
an error.
"""

from holdfast.figures.alarms import Alarm as Alarm
from holdfast.figures.alarms import Thresholds as Thresholds
from holdfast.figures.alarms import alarms as alarms
from holdfast.figures.counting import By as By
from holdfast.figures.counting import Figure as Figure
from holdfast.figures.counting import figures as figures
from holdfast.figures.interval import Interval as Interval
from holdfast.figures.interval import wilson as wilson
from holdfast.figures.suggesting import Cut as Cut
from holdfast.figures.suggesting import Suggestion as Suggestion
from holdfast.figures.suggesting import Tolerance as Tolerance
from holdfast.figures.suggesting import suggestions as suggestions
from holdfast.figures.what_if import Overruled as Overruled
from holdfast.figures.what_if import Side as Side
from holdfast.figures.what_if import WhatIf as WhatIf
from holdfast.figures.what_if import what_if as what_if
