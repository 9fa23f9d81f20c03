"""Packaged and calibrated model weights: registry, digests and unpacking."""
