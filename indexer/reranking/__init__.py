"""Re-ranking: a cross-encoder that the user brings orders the best candidates again."""
