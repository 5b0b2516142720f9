"""The parts of the simulation: plans and tools, faults, people, laws, and the stage on which one seed is played.

`holdfast.testing.simulate` is the way in. What is played is the production code: `Holdfast`, the embedded engine, the
runner, `decide`, `evolve` and the codec; only the clock, the journal and the world are swapped.
"""
