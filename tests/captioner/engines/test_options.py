"""A recipe names the server that answered, and nothing secret of its URL."""

import pytest

from captioner.engines.openai import OpenAIDescriber
from captioner.engines.options import origin
from scenes.errors import BadInput


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("https://user:geheim@API.example.org/v1?key=geheim", "https://api.example.org:443"),
        ("http://[::1]:9/v1", "http://[::1]:9"),
    ],
)
def test_scheme_host_and_port_are_kept(url: str, named: str) -> None:
    assert origin(url) == named


@pytest.mark.parametrize("url", ["example.org/v1", "ftp://example.org", "http://", "http://u:geheim@host:port/v1"])
def test_what_is_no_url_is_told_without_telling_it(url: str) -> None:
    with pytest.raises(BadInput, match="can't be read") as told:
        origin(url)
    assert "geheim" not in str(told.value)


def test_another_server_is_another_recipe() -> None:
    urls = ("https://user:geheim@one.example/v1", "https://other:geheim@one.example/v1", "https://two.example/v1")
    one, same, other = (OpenAIDescriber.from_options("m", ["--base-url", url], consent=True).recipe for url in urls)
    assert one.options == {"origin": "https://one.example:443"}
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
