"""The worker: it keeps collections searchable and executes jobs."""
