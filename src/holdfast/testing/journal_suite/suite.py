"""All checks in one class."""

from __future__ import annotations

from holdfast.testing.journal_suite.claims import ClaimChecks
from holdfast.testing.journal_suite.family import FamilyChecks
from holdfast.testing.journal_suite.inbox import InboxChecks
from holdfast.testing.journal_suite.keeping import KeepingChecks
from holdfast.testing.journal_suite.mail import MailChecks
from holdfast.testing.journal_suite.memories import MemoryChecks
from holdfast.testing.journal_suite.notices import NoticeChecks
from holdfast.testing.journal_suite.owed import OwedChecks
from holdfast.testing.journal_suite.places import PlaceChecks
from holdfast.testing.journal_suite.record import RecordChecks
from holdfast.testing.journal_suite.standing import StandingChecks


class JournalSuite(
    RecordChecks, ClaimChecks, MailChecks, PlaceChecks, OwedChecks, FamilyChecks, MemoryChecks, NoticeChecks, InboxChecks,
    StandingChecks, KeepingChecks,
):  # fmt: skip
    """What every journal must pass; see the package's text."""
