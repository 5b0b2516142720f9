"""All that a person needs who takes a run over: as a record that prints as JSON, and as Markdown to work from."""

from holdfast.views.handoff.markdown import markdown as markdown
from holdfast.views.handoff.package import handoff as handoff
from holdfast.views.handoff.records import Advice as Advice
from holdfast.views.handoff.records import DoneStep as DoneStep
from holdfast.views.handoff.records import Handoff as Handoff
from holdfast.views.handoff.records import OpenStep as OpenStep
from holdfast.views.handoff.records import Tried as Tried
from holdfast.views.handoff.records import UnknownStep as UnknownStep
