"""Import lines: what is taken, what is rejected, with line numbers."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from captioner.batches.import_jsonl import LineError, read
from scenes.catalog.publishing import Publication

GOOD = '{"id": "1", "text": "a dog", "metadata": {"year": 2020}, "uri": "https://example.org/1.jpg"}'


def outcome(path: Path, text: str) -> list[Publication | LineError]:
    path.write_text(text)
    return list(read(path))


def test_each_bad_line_is_told_with_its_number(tmp_path: Path) -> None:
    bad = ["{", "[]", '{"id": "2"}', '{"id": "3", "text": "x", "description": {"detail": "y"}}', '{"text": "no id"}']
    bad += ['{"id": "4", "text": "x", "sha256": "abc"}', '{"id": "5", "text": "a \\u0000"}', '{"id": "6", "text": NaN}']
    found = outcome(tmp_path / "f.jsonl", "\n".join([GOOD, "", *bad, GOOD]))
    assert [one.line for one in found if isinstance(one, LineError)] == list(range(3, 3 + len(bad)))
    assert [one.description.detail for one in found if isinstance(one, Publication)] == ["a dog", "a dog"]


@given(st.binary(max_size=300))
def test_any_bytes_are_lines_or_errors(tmp_path_factory: object, data: bytes) -> None:
    path = tmp_path_factory.mktemp("x") / "f"  # type: ignore[attr-defined]
    path.write_bytes(data)
    assert all(isinstance(one, Publication | LineError) for one in read(path))
