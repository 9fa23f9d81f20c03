"""Optional libraries can be hidden from one import, on one thread."""

import importlib
import sys
import threading
from pathlib import Path

import pytest

from scenes.host.imports import hidden


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A library that can be imported and was not yet."""
    (tmp_path / "an_optional_library.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "an_optional_library", raising=False)
    return "an_optional_library"


def test_a_hidden_library_can_not_be_imported_inside_the_block_and_can_be_afterwards(library: str) -> None:
    before = list(sys.meta_path)
    with hidden(library), pytest.raises(ModuleNotFoundError):
        importlib.import_module(library)
    assert sys.meta_path == before
    assert importlib.import_module(library).VALUE == 1


def test_a_library_that_is_imported_already_stays_so(library: str) -> None:
    importlib.import_module(library)
    with hidden(library):
        assert importlib.import_module(library).VALUE == 1


def test_other_threads_import_what_they_like(library: str) -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(importlib.import_module(library)))
    with hidden(library):
        thread.start()
        thread.join()
    assert [one.__name__ for one in found] == [library]
