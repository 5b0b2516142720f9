"""The rules of the machine: pure functions on frozen records, no clock, no randomness, no I/O."""
