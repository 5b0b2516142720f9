"""The public test kit: a clock that jumps, a scripted world, a journal in memory, the journal suite, simulation, crash walks."""
