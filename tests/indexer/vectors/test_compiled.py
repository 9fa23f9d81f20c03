"""Compiled functions without a folder for their cache."""

from indexer.vectors.compiled import compiled

SOURCE = "def double(number):\n    return 2 * number\n"


def test_a_function_is_compiled_where_its_code_cannot_be_cached() -> None:
    names: dict[str, object] = {}
    exec(compile(SOURCE, "/nowhere/double.py", "exec"), names)
    double = compiled("int64(int64)")(names["double"])  # type: ignore[arg-type]
    assert double.nopython_signatures
    assert double(21) == 42
