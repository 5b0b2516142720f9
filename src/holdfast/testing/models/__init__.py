"""Scripted models: what a model says is written down beforehand, so that tests and labs need none and end the same each time.

`ScriptedModel` stands where a real one would (`reasoners/model.py`); `ModelServer` is a provider on loopback, for the real
client libraries. Both answer from the same scripts; what goes wrong is a word in the script, or a fault by name.
"""

from holdfast.testing.models.faults import FAULT_NAMES as FAULT_NAMES
from holdfast.testing.models.faults import Fault as Fault
from holdfast.testing.models.faults import FaultName as FaultName
from holdfast.testing.models.script import Script as Script
from holdfast.testing.models.script import ScriptedModel as ScriptedModel
from holdfast.testing.models.script import ScriptEnded as ScriptEnded
from holdfast.testing.models.script import asked as asked
from holdfast.testing.models.script import called as called
from holdfast.testing.models.script import latest as latest
from holdfast.testing.models.script import results as results
from holdfast.testing.models.script import told as told
from holdfast.testing.models.server import ModelServer as ModelServer
from holdfast.testing.models.server import Seen as Seen
from holdfast.testing.models.turns import Said as Said
from holdfast.testing.models.turns import Tries as Tries
from holdfast.testing.models.turns import Turn as Turn
from holdfast.testing.models.turns import after as after
from holdfast.testing.models.turns import call as call
from holdfast.testing.models.turns import call_with as call_with
from holdfast.testing.models.turns import cut as cut
from holdfast.testing.models.turns import fail as fail
from holdfast.testing.models.turns import fault as fault
from holdfast.testing.models.turns import refuse as refuse
from holdfast.testing.models.turns import say as say
from holdfast.testing.models.turns import think as think
from holdfast.testing.models.turns import tries as tries
from holdfast.testing.models.turns import used as used
