"""The embedded journal: one SQLite file, any number of processes on one machine."""

from holdfast.journal.sqlite.journal import SqliteJournal as SqliteJournal
