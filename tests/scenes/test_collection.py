"""Settings that came from elsewhere are tightened to those of a new collection, and nowhere loosened."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from scenes.collection import Collection, tightened

LOOSE = Collection(
    name="c",
    retention="keep",
    search_log="full",
    search_log_expiry=timedelta(days=31),
    engine="openai",
    engine_model="m",
    third_party_consent=True,
    encoder="e",
)


def test_what_is_looser_is_tightened_and_told() -> None:
    after, told = tightened(LOOSE)
    assert after == Collection(name="c", encoder="e")
    assert set(told) == set(Collection.model_fields) - {"name", "encoder"}
    assert told["third_party_consent"] == {"from": True, "to": False}
    assert told["search_log_expiry"] == {"from": "P31D", "to": "P30D"}


@given(
    st.sampled_from(["off", "results", "keyed-hash", "full"]), st.timedeltas(timedelta(minutes=1), timedelta(days=99))
)
def test_what_is_stricter_stays(log: str, expiry: timedelta) -> None:
    given_ = Collection(name="c", search_log=log, search_log_expiry=expiry)  # type: ignore[arg-type]
    after, told = tightened(given_)
    assert after.search_log == (log if log == "off" else "results")
    assert after.search_log_expiry == min(expiry, timedelta(days=30))
    assert bool(told) == (after != given_)
    assert tightened(after) == (after, {})
