"""Descriptions to vectors to index."""
