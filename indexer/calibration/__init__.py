"""Training pairs, hard negatives, training, score calibration. Never imported by the server."""
