"""Metrics, the request log, spans and traces."""
