"""Text to vectors: the encoder protocol, its implementations, and micro-batching."""
