"""ASGI middleware, from the outermost layer to the innermost."""
