"""Monitors for silent failure: what says that it is done and is not, what is slowly getting worse, and what nobody looks at.

Each is a rule with a name, a meaning in a sentence, thresholds that can be changed, and evidence when it trips. They are pure
functions over digests of runs (`digest.py`), which `looking.py` reads from a store. Nothing is called and nothing is written.
"""

from holdfast.monitors.catalog import MONITORS as MONITORS
from holdfast.monitors.catalog import Monitor as Monitor
from holdfast.monitors.catalog import Threshold as Threshold
from holdfast.monitors.digest import RunDigest as RunDigest
from holdfast.monitors.digest import digest as digest
from holdfast.monitors.findings import Evidence as Evidence
from holdfast.monitors.findings import Finding as Finding
from holdfast.monitors.findings import Unjudged as Unjudged
from holdfast.monitors.findings import Window as Window
from holdfast.monitors.judging import Report as Report
from holdfast.monitors.judging import Seen as Seen
from holdfast.monitors.judging import judge as judge
from holdfast.monitors.looking import Watch as Watch
from holdfast.monitors.looking import findings as findings
from holdfast.monitors.looking import look as look
from holdfast.monitors.parked import Waiting as Waiting
from holdfast.monitors.settings import Settings as Settings
from holdfast.monitors.settings import load as load
from holdfast.monitors.telling import for_doctor as for_doctor
from holdfast.monitors.telling import notices as notices
from holdfast.monitors.telling import tripped as tripped
