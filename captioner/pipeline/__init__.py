"""One captioning run: read, describe, check, write."""
