"""Words from people into a run: what may be said and by whom, and what a message becomes when the run takes it.

An answer travels in two moves. It is *sent*: checked against what is open, and put into the run's mailbox durably, where
its interrupt has one slot, so the second one is refused by the store itself. Then the worker that holds the run *takes*
it: the message becomes an event in the same commit that marks it taken. So it holds whoever dies in between.
"""

from __future__ import annotations

from holdfast.inbox.answers import answer as answer
from holdfast.inbox.bulk import Bulk as Bulk
from holdfast.inbox.bulk import LeftOut as LeftOut
from holdfast.inbox.desk import Inbox as Inbox
from holdfast.inbox.speech import BY_MAX as BY_MAX
from holdfast.inbox.taking import delivered as delivered
from holdfast.inbox.taking import taken as taken
from holdfast.inbox.who import Speaker as Speaker
from holdfast.inbox.who import may_decide as may_decide
from holdfast.inbox.who import speaker_of as speaker_of
from holdfast.inbox.words import FACTS_MAX as FACTS_MAX
from holdfast.inbox.words import FAILED_MAX as FAILED_MAX
from holdfast.inbox.words import SIGNALS_MAX as SIGNALS_MAX
from holdfast.inbox.words import callback as callback
from holdfast.inbox.words import cancel as cancel
from holdfast.inbox.words import comment as comment
from holdfast.inbox.words import correct as correct
from holdfast.inbox.words import done as done
from holdfast.inbox.words import goal as goal
from holdfast.inbox.words import handoff as handoff
from holdfast.inbox.words import instruct as instruct
from holdfast.inbox.words import pause as pause
from holdfast.inbox.words import resume as resume
from holdfast.inbox.words import signal as signal
