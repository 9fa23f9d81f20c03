"""Request bodies: read whole, replayed, or dropped."""

from starlette.types import Message, Receive


async def whole(receive: Receive) -> bytes | None:
    """All of a body; None where the client went away before its end, so that half a body is never taken for one."""
    parts, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(parts)


def again(body: bytes) -> Receive:
    """A body that was read, replayed for another reader."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def bodiless(receive: Receive) -> Receive:
    """An empty body, then nothing until the client goes away; what it sends is dropped."""
    begun = False

    async def empty() -> Message:
        nonlocal begun
        if not begun:
            begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while (message := await receive())["type"] != "http.disconnect":
            pass
        return message

    return empty
