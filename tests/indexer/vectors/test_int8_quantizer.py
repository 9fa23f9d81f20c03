import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.encoding.encoder import Vectors
from indexer.vectors.int8_quantizer import WholeNumbers


def unit(vectors: Vectors) -> Vectors:
    units: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return units


def around(length: float, n: int = 2_000, dimensions: int = 64) -> Vectors:
    """Unit vectors around one direction: the longer it is, the more alike they are."""
    random = np.random.default_rng(7)
    return unit(random.normal(size=(n, dimensions)) / np.sqrt(dimensions) + length / np.sqrt(dimensions))


@pytest.mark.parametrize("length", [0.0, 0.3, 2.0, 5.0])
def test_products_are_the_scores_but_for_one_constant_a_query(length: float) -> None:
    vectors = around(length)
    numbers = WholeNumbers.fit(vectors)
    coded = numbers.coded(vectors)
    for query in around(length, 5):
        asked, unit = numbers.asked(query)
        off = vectors @ query - (coded @ asked) / unit
        spread = np.std(vectors @ query)
        assert np.std(off) < 0.05 * spread


@pytest.mark.parametrize("length", [0.0, 5.0])
def test_numbers_fit_into_a_signed_byte_and_are_whole(length: float) -> None:
    vectors = around(length)
    numbers = WholeNumbers.fit(vectors)
    for told in (numbers.coded(vectors), numbers.asked(vectors[0])[0]):
        assert np.abs(told).max() <= 127
        assert np.array_equal(told, np.rint(told))


def test_the_mean_is_left_out_only_where_vectors_lie_mostly_in_its_direction() -> None:
    assert not WholeNumbers.fit(around(0.3)).centre.any()
    assert WholeNumbers.fit(around(5.0)).centre.any()


@given(st.integers(0, 3), st.integers(1, 8))
def test_none_few_and_empty_vectors_are_told_too(n: int, dimensions: int) -> None:
    numbers = WholeNumbers.fit(np.zeros((n, dimensions), np.float32))
    assert np.isfinite(numbers.coded(np.zeros((1, dimensions), np.float32))).all()
    assert np.isfinite(numbers.asked(np.zeros(dimensions, np.float32))[0]).all()


def test_what_is_told_in_a_file_is_read_again_bit_by_bit() -> None:
    numbers = WholeNumbers.fit(around(5.0))
    again = WholeNumbers.of(numbers.told())
    assert (again.centre.tobytes(), again.scale) == (numbers.centre.tobytes(), numbers.scale)
