"""Many files restored: their names, the record of what was done, processes or a cluster. Called by `ced.pipeline`."""
