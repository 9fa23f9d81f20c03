"""Measures of retrieval: how often the right image comes first, and how sure that figure is."""
