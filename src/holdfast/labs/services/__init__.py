"""The world that the labs act upon: small real services in a process of their own.

They know nothing of the rest of holdfast, so what their ledger says is a witness and not an echo. Start them with
`start_services`, or by hand with `python -m holdfast.labs.services onboarding --dir DIR`.
"""

from holdfast.labs.services.client import Services, start_services

__all__ = ["Services", "start_services"]
