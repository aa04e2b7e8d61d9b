"""Power cuts, tried: what real processes wrote is recorded, and every state that a crash may leave is opened again.

`trace` records the system calls of a process with strace. `disk` turns them into operations of a file system and knows
which of them are durable. `states` builds what a power cut may leave of them. `programs` are the processes recorded,
`oracles` open a state with Assay's own code and compare it with what was acknowledged. `search` puts them together.
docs/decisions has the assumptions (0014).

The method is that of ALICE (Pillai et al., OSDI 2014) and of SQLite's test6.
"""
