"""Identities and fingerprints: the same in every process and for ever, different for whatever differs."""

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes.identity import canonical_json, external_image_id, fingerprint, image_id
from scenes.recipe import CaptionRecipe, EncoderRecipe, IndexRecipe, Sampling

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=8,
)
CAPTION = CaptionRecipe(engine="vllm", model="m", prompt="scene-1", options={"b": 1, "a": [True, None]})
ENCODER = EncoderRecipe(model="e", weights_digest="0" * 64, wording="whole-1", dimensions=384, max_tokens=256)
GOLDEN = {
    "caption": "060f46a68a82b0516db419061b79dee08d6074f7273850d3bf19a40cb8fdff85",
    "encoder": "94736e25f3f17372682b663c011d7b7ed3cf183a9cdd0b44fd9973573f7feead",
    "index": "c766a6dd546c43de9cdb8f90f96407637636280e0d38d6eb3af7b28f81b7e74d",
}


def test_an_image_is_its_bytes_and_an_external_id_is_no_content() -> None:
    assert image_id(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert external_image_id("abc") != image_id(b"abc")
    assert external_image_id("abc") == "4bedb3b3d27b22651d8ab6d7ab5a2a2e849d8451a69481ae13518f2e00d68577"


@given(json_values)
def test_the_order_of_keys_changes_nothing(value: object) -> None:
    assert canonical_json(value) == canonical_json(_turned(value))


def _turned(value: object) -> object:
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(list(value))}
    return [_turned(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_has_not_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        fingerprint({"x": number})


def test_recipes_keep_their_fingerprints() -> None:
    """A change here orphans every stored result: give a new field a new recipe, or a migration."""
    recipes = {"caption": CAPTION, "encoder": ENCODER, "index": IndexRecipe()}
    assert {name: recipe.fingerprint() for name, recipe in recipes.items()} == GOLDEN


def test_another_process_says_the_same() -> None:
    code = "from tests.scenes.test_identity import CAPTION; print(CAPTION.fingerprint())"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert said == {CAPTION.fingerprint()}


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"engine": "openai"},
        {"revision": "r"},
        {"prompt": "scene-2"},
        {"schema_version": "0"},
        {"sampling": Sampling(temperature=0.2)},
        {"max_side_px": 640},
        {"options": {}},
    ],
)
def test_every_setting_counts(change: dict[str, object]) -> None:
    assert CAPTION.model_copy(update=change).fingerprint() != CAPTION.fingerprint()
