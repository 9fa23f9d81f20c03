"""The HTTP server: the protocol, the bounds of connections, the process that started it."""
