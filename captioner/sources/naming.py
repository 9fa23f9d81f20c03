"""URIs of images inside other files: `zip://MEMBER::URI`, `tar://MEMBER::URI`, `URI#row=N`."""

from urllib.parse import quote, unquote, urlsplit

_ROW = "#row="


def member_uri(kind: str, member: str, archive_uri: str) -> str:
    """The URI of a member of an archive, in fsspec's chained spelling."""
    return f"{kind}://{quote(member)}::{archive_uri}"


def row_uri(table_uri: str, row: int) -> str:
    """The URI of one row of a table, rows counted from 0."""
    return f"{table_uri}{_ROW}{row}"


def container(uri: str) -> str:
    """The source to read again for an image: the archive or table that holds it, or the file itself."""
    outer = uri.split("::", 1)[1] if uri.startswith(("zip://", "tar://")) and "::" in uri else uri
    outer = outer.split(_ROW, 1)[0]
    return unquote(urlsplit(outer).path) if outer.startswith("file://") else outer


def is_hidden(name: str) -> bool:
    """Is this a member or file that no one means: dot files, macOS resource forks?"""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
