"""Index releases: built, verified, made active, tuned, pruned and repaired."""
