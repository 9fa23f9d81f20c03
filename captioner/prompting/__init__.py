"""Prompts, reply checks, attempts and verification."""
