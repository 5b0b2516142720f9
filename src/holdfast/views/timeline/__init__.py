"""A run as a picture: what was under way when, what was waited for, and what came of it. Pure, like all views.

`timeline` reads a journal into a `Timeline`: lanes with bars (attempts, probes, requests to models), waits and marks. `picture`
lays it out on a sheet, `svg` writes the sheet as an SVG file that stands alone.
"""

from holdfast.views.timeline.folding import Fold as Fold
from holdfast.views.timeline.folding import folded as folded
from holdfast.views.timeline.reading import timeline as timeline
from holdfast.views.timeline.records import Bar as Bar
from holdfast.views.timeline.records import Lane as Lane
from holdfast.views.timeline.records import Line as Line
from holdfast.views.timeline.records import Mark as Mark
from holdfast.views.timeline.records import Timeline as Timeline
from holdfast.views.timeline.records import Wait as Wait
from holdfast.views.timeline.sheet import Sheet as Sheet
from holdfast.views.timeline.sheet import picture as picture
from holdfast.views.timeline.svg import svg as svg
