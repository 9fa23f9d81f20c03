"""The redaction gate: personal names, contacts and identifiers leave every field before anything is written."""
