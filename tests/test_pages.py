"""What the documents say was measured is what the recorded results say."""

from benchmarks import server_page
from benchmarks.recording import ROOT


def test_the_page_of_the_server_is_that_of_the_recorded_results() -> None:
    assert (ROOT / "docs" / "server.md").read_text() == server_page.page()
