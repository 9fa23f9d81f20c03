"""What a client may name as a source: nothing by default, and never anything beside what was allowed."""

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scenes.allowed.sources import check_source, checked_root, is_allowed
from scenes.errors import Forbidden

ALLOWED = ("/data/photos", "https://cdn.example.com/photos/", "s3://bucket/in", "http://[::1]:8080/photos")
PARTS = st.sampled_from(["..", ".", "", "data", "photos", "photos2", "x.png", "%2e%2e", "*"])


@pytest.mark.parametrize(
    "source",
    [
        "/data/photos",
        "/data/photos/a/b.png",
        "/data/photos/*.png",
        "https://cdn.example.com/photos/a.png?size=1",
        "https://CDN.example.com/photos/a.png",
        "s3://bucket/in/2020",
        "s3a://bucket/in/2020/*.png",
        "HTTPS://cdn.example.com:443/photos/a.png",
        "https://cdn.example.com/%70hotos/a%20b.png#row=0",
        "http://[::1]:8080/photos/a.png",
        "http://[0:0:0:0:0:0:0:1]:8080/photos/a.png",
    ],
)
def test_what_lies_below_is_allowed(source: str) -> None:
    assert is_allowed(source, ALLOWED)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "photos",
        "/",
        "/data",
        "/data/photos2",
        "/data/photos/../secret",
        "/etc/passwd",
        "file:///data/photos",
        "http://cdn.example.com/photos/a.png",
        "https://cdn.example.com/",
        "https://cdn.example.com.evil.example/photos/a.png",
        "https://cdn.example.com@evil.example/photos/a.png",
        "https://user@cdn.example.com/photos/a.png",
        "https://cdn.example.com:8443/photos/a.png",
        "https://cdn.example.com/photos/%2e%2e/secret",
        "https://cdn.example.com:x/photos/",
        "https://169.254.169.254/latest/meta-data",
        "zip://a.png::https://cdn.example.com/photos/x.zip",
        "/data/photos/a\nb",
        "s3://bucket/inside",
        "s3://other/in",
        "s3://bucket/in/../out",
        "s3://bucket/./in/x",
        "s3://bucket//in/x",
        "s3://bucket/in?/x",
        "s3://bucket/in#/x",
        "s3://bucket/%69n/x",
        "s3://user@bucket/in/x",
        "https://cdn.example.com/photos/%252e%252e/secret",
        "https://cdn.example.com/photos/..%5csecret",
        "https://cdn.example.com/photos/a%00.png",
        "https://cdn.example.com:0/photos/a.png",
        "https://cdn.example.com./photos/a.png",
        "https://cdn%2eexample.com/photos/a.png",
        "https://cdn.example.com\uff0fphotos/a.png",
        "https://\uff43dn.example.com/photos/a.png",
        " https://cdn.example.com/photos/a.png",
        "https:/cdn.example.com/photos/a.png",
        "https:///photos/a.png",
        "http://[::2]:8080/photos/a.png",
        "http://[::1%25eth0]:8080/photos/a.png",
        "reference://cdn.example.com/photos/a.json",
        "simplecache://cdn.example.com/photos/a.png",
        "local:///data/photos/a.png",
    ],
)
def test_what_lies_beside_is_not(source: str) -> None:
    assert not is_allowed(source, ALLOWED)


@given(st.lists(PARTS, max_size=8).map(lambda parts: "/" + "/".join(parts)))
@example("/data/photos/../photos/x.png")
def test_an_allowed_path_stays_below_whatever_its_dots_mean(source: str) -> None:
    if is_allowed(source, ("/data/photos",)):
        assert posixpath.normpath("/" + source.lstrip("/")).startswith("/data/photos")


def test_nothing_is_allowed_by_default() -> None:
    with pytest.raises(Forbidden) as told:
        check_source("/data/photos", ())
    assert told.value.code == "source_not_allowed"


@pytest.mark.parametrize(
    "root", ["photos", "/data/../etc", "file:///data", "ftp://h/x", "https://", "https://bücher.de/"]
)
def test_what_could_never_match_is_no_entry(root: str) -> None:
    with pytest.raises(ValueError, match=r"is neither|is no URL"):
        checked_root(root)


def test_entries_stay_as_they_are_written() -> None:
    assert [checked_root(root) for root in (*ALLOWED, "/")] == [*ALLOWED, "/"]
