"""Every decision of people and policies, read from the journals themselves, with a proof that anybody can check without a
store.

An audit is a stream of records. First the approvals given in advance, which are the store's own and stand in no journal.
Then, run by run in the order in which they were created, a line for each decision in the order of the run's entries, and the
*proof* of that run: all its batches as they are stored, and the head of its hash chain. At the end stands how many records
there were, and a digest over them.

`verify_audit` computes every link again, reads the decisions from the batches anew, and compares: a line that was changed,
left out, invented or moved is named with its place. What it cannot know is whether the whole is an old or another one: a head
that was noted elsewhere says that (`heads`). A proof has the whole journal of its run in it, secrets excepted, which are in
no journal.
"""

from holdfast.audit.exporting import audit as audit
from holdfast.audit.exporting import csv_lines as csv_lines
from holdfast.audit.exporting import json_lines as json_lines
from holdfast.audit.records import AuditEnd as AuditEnd
from holdfast.audit.records import AuditLine as AuditLine
from holdfast.audit.records import AuditRecord as AuditRecord
from holdfast.audit.records import Proof as Proof
from holdfast.audit.records import ProofBatch as ProofBatch
from holdfast.audit.verifying import verify_audit as verify_audit
