"""What to do next. All judgement of the machine is reached from here.

Theory of operation
-------------------
`decide(state, now)` looks at what is known and says everything that can be said about it at this moment: rulings
(events that are only written down), intents (events that announce an effect) and, beside each intent, the command to
perform. It is pure: the same state and time give the same decision in every process and in every replay.

The driver owes this, in this order:

1. commit `decision.events` in one batch, together with the outcomes that led here, under its fence;
2. only then perform `decision.commands`, and bring back exactly one outcome event for each;
3. fold the outcomes into `decision.state` and ask again. With nothing in flight and no command, wait until
   `decision.wake_at` or a word from outside.

An intent under an older fence than the state's was left by a worker that is gone: what it announced is in doubt. That is
the only way in which the past of a process enters here.

Order of concern: calls in doubt before everything else, for they are the world's state; then failures; then what is owed;
then what is due; then new steps in plan order; then the reasoner; then the end. A run that stops begins nothing new, lets
what is in flight end, takes back what it did where its policy says so, and names what it does not know.

The decision is made at a `Desk`, by what each file adds to it: `desk` has the state and says things about it, `doubts`,
`failures`, `owed`, `calls` and `ends` have a concern each, `decider` their order.
"""

from holdfast.core.decide.decider import Decision as Decision
from holdfast.core.decide.decider import decide as decide
from holdfast.core.decide.desk import Room as Room
