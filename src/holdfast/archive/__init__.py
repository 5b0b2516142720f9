"""Runs as a file: written from one store, checked by anybody, looked at in another.

An archive is JSON lines. Each run is a header, the large values that it refers to, and its commits byte for byte as they are
stored, with the hash chain that they had; at the end stands how many lines there were, and a digest over them. Whatever is
changed, left out, added or moved is refused with its line. What no file can show by itself is that all of it was made anew; a
head that was noted elsewhere does (`Header.head`), and so does the store that it came from (`check_against`).

From a copy something may be left out (`Redaction`). Then the chain is one of the copy's own, and the store that it came from can
tell that it is its copy.
"""

from holdfast.archive.adopting import Comparison as Comparison
from holdfast.archive.adopting import check_against as check_against
from holdfast.archive.adopting import check_entries as check_entries
from holdfast.archive.adopting import import_run as import_run
from holdfast.archive.reading import checked as checked
from holdfast.archive.reading import entries_of as entries_of
from holdfast.archive.reading import read_archive as read_archive
from holdfast.archive.records import REDACTED_LABEL as REDACTED_LABEL
from holdfast.archive.records import ArchivedRun as ArchivedRun
from holdfast.archive.records import Header as Header
from holdfast.archive.records import Redaction as Redaction
from holdfast.archive.records import redaction_of as redaction_of
from holdfast.archive.writing import Exported as Exported
from holdfast.archive.writing import ExportedRun as ExportedRun
from holdfast.archive.writing import export as export
