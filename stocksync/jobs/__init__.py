"""A file of events as a job of a worker: stored, worked off in steps, gone on with after a kill."""
