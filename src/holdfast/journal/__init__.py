"""The log of a run: checkpoint, audit trail and replay source at once."""
