"""The labs: stories that holdfast must be able to live through, with the small real services that they need.

Each starts its services on loopback, kills a real worker in the middle of an effect, starts it again, and at the end
checks what the services' own ledger says, not what the agent says. `holdfast lab NAME` runs one.
"""

from holdfast.labs.registry import LABS, run_lab

__all__ = ["LABS", "run_lab"]
