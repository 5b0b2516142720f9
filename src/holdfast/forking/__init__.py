"""Forking: a new run that begins at a point of another one's record; see `making.fork`."""

from holdfast.forking.making import Forked as Forked
from holdfast.forking.making import fork as fork
from holdfast.forking.points import Point as Point
from holdfast.forking.points import Where as Where
from holdfast.forking.points import find as find
from holdfast.forking.points import following as following
from holdfast.forking.points import points as points
