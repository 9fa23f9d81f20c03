"""What was read is kept within its bytes."""

from app.search.keeping import Kept


def test_what_was_put_first_makes_room() -> None:
    kept: Kept[str, bytes] = Kept(5, len)
    for name in "abc":
        kept.put(name, b"12")
    assert [kept.get(name) for name in "abc"] == [None, b"12", b"12"]
    kept.put("b", b"1")
    kept.put("d", b"12")
    assert [kept.get(name) for name in "bcd"] == [b"1", b"12", b"12"]
    kept.put("e", b"123456")
    assert [kept.get(name) for name in "bcde"] == [None] * 4
