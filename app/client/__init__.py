"""The Python client: httpx and pydantic only."""
