"""Who wrote what, and when."""
