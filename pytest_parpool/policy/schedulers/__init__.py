"""The schedulers: which item runs next on which worker. Pure, one file per idea.

- `protocol`: what a scheduler is; all that the dispatcher knows of it.
- `registry`: the schedulers by the names that ``--dist`` takes; a new one is a pure file and a line there.
- `slots`: what all of ours share, a queue of begun work per slot.
- `stealing`, `units`: shares with stealing, the engine of `load`, `worksteal` and `loadgroup`.
- `grouped`: whole groups by need, the engine of `loadscope` and `loadfile`.
- `each`: every item once on every worker.
"""
