"""This machine: private files, signals, processes and cores."""
