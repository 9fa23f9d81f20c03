"""The vllm and openai engines against a real vLLM on a tiny random model: the plumbing, never the words."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from captioner.engines.engine import Answer, Describer, EngineFault, Picture, Reply, Request
from captioner.engines.openai import OpenAIDescriber
from captioner.engines.vllm import VllmDescriber
from captioner.images.decoding import Decoded
from captioner.prompting.attempts import Manner, converse
from captioner.prompting.replies import Unfit, check
from scenes.recipe import Sampling
from tests.captioner.conftest import drive
from tests.vllm.engine import ALONE, ENGINE, SETTINGS, serving
from tests.vllm.tiny_model import build

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def offline(model: Path) -> Iterator[VllmDescriber]:
    os.environ.update(SETTINGS)
    describer = VllmDescriber.from_options(str(model), [*ENGINE, *ALONE, "--max-tokens", "150"])
    yield describer
    describer.close()


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(model, tmp_path_factory.mktemp("server") / "log") as running:
        yield running.url


def requests(n: int, max_tokens: int = 150) -> list[Request]:
    shades = [(40 * i % 256, 255 - 30 * i % 256, 90) for i in range(n)]
    pictures = [Picture(f"{i:064x}", Image.new("RGB", (64, 64), shade)) for i, shade in enumerate(shades)]
    return [
        Request(picture, Sampling(temperature=1.0, max_tokens=max_tokens, seed=i)) for i, picture in enumerate(pictures)
    ]


def asked(describer: Describer, wanted: list[Request]) -> list[Answer]:
    return [future.result(timeout=120) for future in [describer.submit(one) for one in wanted]]


def test_offline_replies_come_in_order_and_whole_ones_fit_the_schema(offline: VllmDescriber) -> None:
    replies = asked(offline, requests(4))
    assert len(replies) == 4
    assert all(isinstance(reply, Reply) for reply in replies)
    whole = [reply for reply in replies if isinstance(reply, Reply) and reply.finish_reason == "stop"]
    reasons = {found.reason.value for found in map(check, whole) if isinstance(found, Unfit)}
    assert not reasons - {"reply_repeats", "reply_invalid"}


def test_offline_one_request_that_the_engine_refuses_costs_only_itself(offline: VllmDescriber) -> None:
    good = requests(2)
    refused = Request(good[0].picture, Sampling.model_construct(temperature=1.0, top_p=1.0, max_tokens=0, seed=0))
    replies = asked(offline, [good[0], refused, good[1]])
    assert [type(reply) for reply in replies] == [Reply, EngineFault, Reply]


def test_offline_a_cut_reply_is_a_failure_after_its_attempts(offline: VllmDescriber) -> None:
    short = offline.recipe.model_copy(update={"sampling": Sampling(max_tokens=3)})
    outcome = drive(offline, converse(Decoded(requests(1)[0].picture, ()), Manner(short)))
    assert (outcome.kind, outcome.usage.attempts) == ("failed", 3)


def test_over_http_the_same_plumbing_works(server: str) -> None:
    describer = OpenAIDescriber.from_options(None, ["--base-url", server], consent=False)
    assert describer.recipe.model == "tiny"
    replies = asked(describer, requests(3))
    describer.close()
    assert len(replies) == 3
    assert all(isinstance(reply, Reply) for reply in replies), replies
