"""Training pairs, counterfactuals, what a step reads."""

import random
from pathlib import Path

import pytest

from indexer.calibration.calibrating import split
from indexer.calibration.counterfactuals import Counterfactuals
from indexer.calibration.pairs import Example, read_pairs, without
from indexer.calibration.training import Plan, batch
from scenes.errors import BadInput

RULES = Counterfactuals({"dog": ("cat",), "cat": ("dog",), "bus": ("truck",), "truck": ("bus",)})
RNG = random.Random(1)


def test_a_swap_changes_both_texts_alike() -> None:
    edited = RULES.swap_attributes("a red bus and a blue car", "The bus is red. A blue car.", RNG)
    assert edited == ("a blue bus and a red car", "The bus is blue. A red car.")
    assert RULES.swap_objects("a dog chases a cat", "Dogs and a cat", RNG) in [
        ("a cat chases a dog", "cats and a dog"),
    ]


@pytest.mark.parametrize(
    ("rule", "query", "text", "edited"),
    [
        ("replace_object", "a dog", "One dog. Two dogs.", ("a cat", "One cat. Two cats.")),
        ("replace_object", "a dog", "A puppy.", None),
        ("replace_relation", "a dog under a bus", "It lies under it.", ("a dog on a bus", "It lies on it.")),
        ("replace_attribute", "a dog", "A dog.", None),
        ("swap_objects", "a dog", "A dog.", None),
        ("swap_attributes", "a red dog", "A red dog.", None),
        ("replace_count", "a dog", "A dog.", None),
    ],
)
def test_rules(rule: str, query: str, text: str, edited: tuple[str, str] | None) -> None:
    assert getattr(RULES, rule)(query, text, random.Random(0)) == edited


def test_what_is_added_is_added_to_both() -> None:
    query, text = RULES.add_object("a dog.", "A dog. It runs.", random.Random(0)) or ("", "")
    assert query.startswith("a dog ")
    assert query != "a dog."
    assert len(text) > len("A dog. It runs.")
    query, text = RULES.add_attribute("a dog", "The dog runs", random.Random(0)) or ("", "")
    assert query.split()[1] == text.split()[1]


def test_a_counterfactual_differs_in_both_texts_or_is_none() -> None:
    rng = random.Random(3)
    for _ in range(200):
        edited = RULES.of(("a red dog and a bus", "A dog, red. A bus."), rng)
        assert edited is None or (edited[0] != "a red dog and a bus" and edited[1] != "A dog, red. A bus.")


def examples(count: int) -> list[Example]:
    return [Example(f"i{n}", tuple(f"a dog {n} {k}" for k in range(5)), None) for n in range(count)]


def test_a_step_reads_the_same_whenever_it_is_taken() -> None:
    plan = Plan(batch=8)
    assert batch(examples(20), RULES, plan, 7) == batch(examples(20), RULES, plan, 7)
    assert batch(examples(20), RULES, plan, 7) != batch(examples(20), RULES, plan, 8)
    pairs, twins = batch(examples(20), RULES, plan, 7)
    assert len(pairs) <= plan.batch
    assert {other for _, other in twins} == set(range(plan.originals, len(pairs)))


def test_a_round_reads_every_image_once() -> None:
    plan = Plan(batch=7, twins=0.4)
    drawn = [pair[0].split()[2] for step in range(4) for pair in batch(examples(20), RULES, plan, step)[0][:5]]
    assert sorted(drawn, key=int) == [str(n) for n in range(20)]


def test_held_out_images_do_not_depend_on_order() -> None:
    held_out, training = split(examples(50))
    again, _ = split(examples(50)[::-1])
    assert held_out == again
    assert len(held_out) == 6
    assert not {one.image for one in held_out} & {one.image for one in training}


def test_evaluated_captions_are_dropped_and_evaluated_images_refused() -> None:
    kept, dropped = without(examples(3), {"A  dog 1 2"}, set())
    assert dropped == 1
    assert [len(one.asking) for one in kept] == [5, 4, 5]
    with pytest.raises(BadInput, match="i2"):
        without(examples(3), set(), {"i2"})


def test_pairs_are_read_and_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        '{"query": "a dog", "description": "A dog runs."}\n'
        '{"query": "a cat", "description": {"objects": [{"name": "cat"}]}}\n'
        '{"image": "x", "captions": ["one", "two", "three"]}\n'
    )
    one, other, third = read_pairs(path)
    assert one.fixed() == ("a dog", "A dog runs.")
    assert other.fixed() == ("a cat", "cat.")
    assert third.fixed() == ("one", "two. three.")
    path.write_text('{"captions": ["alone"]}\n')
    with pytest.raises(BadInput, match=r"pairs\.jsonl:1"):
        read_pairs(path)
