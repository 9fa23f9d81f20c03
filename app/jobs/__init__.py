"""Jobs: work that a client asks for over REST and a worker does."""
