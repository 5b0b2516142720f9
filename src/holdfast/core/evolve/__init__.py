"""The fold: what is known one event later.

`evolve` is total over the events of one run in order, and pure: a journal folded twice, or in two parts, gives the
same state. It believes what it is told; whether something *may* happen is asked in `decide` before it is written.
"""

from holdfast.core.evolve.fold import evolve as evolve
from holdfast.core.evolve.fold import fold as fold
