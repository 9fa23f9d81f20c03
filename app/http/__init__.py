"""What every request passes: keys, limits, problems, logging, metrics and tracing."""
