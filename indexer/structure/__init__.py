"""Structure from text: a plain paragraph read as objects, relations, people, actions and absences.

Deterministic, without a model: a small tagger says what each word is (`tagging.py`), rules say the rest. What is read
is derived, never a captioner's statement, and never stored.
"""
