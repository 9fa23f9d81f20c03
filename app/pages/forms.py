"""The forms that pages send: URL-encoded UTF-8, as browsers write them, and nothing else."""

from urllib.parse import parse_qsl

from fastapi import Request

from scenes.errors import BadInput

_MEDIA_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a posted form. Raises `BadInput` (`form_invalid`).

    Forms in parts are not read: each part may name an encoding, and some encodings yield text that nothing can store.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        raise BadInput("form_invalid", f"a form is sent as {_MEDIA_TYPE}")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BadInput("form_invalid", "the form can't be read", fix="send it from the page") from error
    return dict(pairs)
