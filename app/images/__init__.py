"""Images over REST."""
