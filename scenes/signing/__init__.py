"""Signatures of this installation."""
