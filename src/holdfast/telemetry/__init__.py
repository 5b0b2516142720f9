"""What a worker does, told to whoever watches: numbers, spans and log lines, made of what was committed and of nothing else."""

from holdfast.telemetry.gauges import read as read
from holdfast.telemetry.gauges import watching as watching
from holdfast.telemetry.ids import traceparent as traceparent
from holdfast.telemetry.listening import Listener as Listener
from holdfast.telemetry.monitored import Monitored as Monitored
from holdfast.telemetry.observer import Telemetry as Telemetry
from holdfast.telemetry.prometheus import exposition as exposition
from holdfast.telemetry.settings import from_settings as from_settings
