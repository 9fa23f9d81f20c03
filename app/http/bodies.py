"""Request bodies, read whole and given on."""

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
    """A body that was read, to be read once more."""
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
