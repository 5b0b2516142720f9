"""What every journal must pass, for whoever writes one.

    from holdfast.testing.journal_suite import JournalSuite

    class TestMyJournal(JournalSuite):
        @pytest.fixture
        async def store(self, tmp_path):
            async with MyStore(tmp_path) as store:      # see `Store`: hands out opened journals to one and the same store
                yield store

The tests are async methods; run them with pytest-asyncio (`asyncio_mode = auto`) or call them yourself. They speak to the
journal through its protocol alone, with as many handles as there would be processes. Times are made up: a journal reads
no clock.
"""

from holdfast.testing.journal_suite.kit import AGENT as AGENT
from holdfast.testing.journal_suite.kit import LEASE as LEASE
from holdfast.testing.journal_suite.kit import T0 as T0
from holdfast.testing.journal_suite.kit import Store as Store
from holdfast.testing.journal_suite.kit import appended as appended
from holdfast.testing.journal_suite.kit import batch as batch
from holdfast.testing.journal_suite.kit import create as create
from holdfast.testing.journal_suite.kit import done as done
from holdfast.testing.journal_suite.kit import held as held
from holdfast.testing.journal_suite.kit import parked as parked
from holdfast.testing.journal_suite.kit import refused as refused
from holdfast.testing.journal_suite.kit import slot as slot
from holdfast.testing.journal_suite.kit import started as started
from holdfast.testing.journal_suite.suite import JournalSuite as JournalSuite
