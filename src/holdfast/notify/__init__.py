"""People are told: what is asked of them, what became of it, and how runs ended. See `outbox.py`."""
