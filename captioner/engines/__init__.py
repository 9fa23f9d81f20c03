"""Captioning engines: the protocol and one file for each engine."""
