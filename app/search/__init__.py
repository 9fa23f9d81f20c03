"""Search: endpoints and service."""
