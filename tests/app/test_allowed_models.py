"""A client names no model that the operator did not allow; no name in the database makes a server fetch or run one."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.restore import _Asked, _judge
from app.settings import Settings
from app.worker.job_executor import Describers
from indexer.backup.manifest import Manifest
from indexer.encoding.serving import EncoderLoader
from scenes.allowed.models import AllowedModels
from scenes.catalog import collections
from scenes.catalog.connection import Catalog
from scenes.collection import Collection
from scenes.errors import BadInput, EnvironmentMissing
from tests.app.live import live

HUB_NAME = "somebody/some-encoder"


@pytest.mark.postgres
def test_a_client_names_only_what_the_operator_allowed(database_url: str, home: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    models = AllowedModels(home, (str(mine),), ("a/vlm",))
    with live(database_url, home, models=models) as app, app.client(app.key("*", "admin")) as client:

        def made(name: str, **settings: str) -> tuple[int, str | None]:
            answer = client.post("/v1/collections", json={"name": name, **settings})
            return answer.status_code, answer.json().get("code")

        for encoder in (HUB_NAME, "/tmp", str(tmp_path), f"{mine}/../mine", "../x", "é" * 300):
            assert made("c", encoder=encoder) == (400, "encoder_not_allowed")
        assert made("c", encoder="x\0y") == (422, "request_invalid")
        assert made("packaged", encoder="all-minilm-l6-v2") == made("own", encoder=str(mine)) == (201, None)
        assert made("c", engine="vllm", engine_model="b/vlm") == (400, "engine_model_not_allowed")
        assert made("c", engine_model="b/vlm") == (400, "engine_model_not_allowed")
        assert made("c", engine="vllm", engine_model="a/vlm") == (201, None)
        assert made("theirs", engine="openai", engine_model="b/vlm") == (201, None)
        change = client.patch("/v1/collections/theirs", json={"engine": "vllm"})
        assert (change.status_code, change.json()["code"]) == (400, "engine_model_not_allowed")
        assert client.patch("/v1/collections/theirs", json={"search_log": "off"}).status_code == 200


@pytest.mark.postgres
def test_a_name_in_the_database_is_not_enough(database_url: str, home: Path) -> None:
    evil = home / "evil"
    evil.mkdir()

    async def stored(url: str) -> None:
        catalog = Catalog.connect(url)
        async with catalog.writing() as session:
            await collections.create(session, Collection(name="old", encoder=str(evil)))
        await catalog.close()

    loader = EncoderLoader(home, AllowedModels(home))
    with live(database_url, home, load=loader) as app, app.client(app.key("*", "search")) as client:
        asyncio.run(stored(app.database_url))
        answer = client.post("/v1/collections/old/search", json={"query": "x"})
    assert (answer.status_code, answer.json()["code"]) == (503, "encoder_not_allowed")
    described = Collection(name="old", engine="vllm", engine_model="b/vlm")
    with pytest.raises(EnvironmentMissing) as told:
        asyncio.run(Describers("", AllowedModels(home)).of(described).__aenter__())
    assert told.value.code == "engine_model_not_allowed"


def test_what_is_named_at_a_command_line_is_remembered(tmp_path: Path) -> None:
    models = AllowedModels(tmp_path)
    for _ in range(2):
        models.allow_encoder(HUB_NAME)
    models.allow_engine_model("a/vlm")
    AllowedModels(tmp_path).check_encoder(HUB_NAME)
    AllowedModels(tmp_path).check_engine(Collection(name="c", engine="vllm", engine_model="a/vlm"))
    for other in (AllowedModels(tmp_path / "elsewhere"), AllowedModels()):
        with pytest.raises(EnvironmentMissing):
            other.check_encoder(HUB_NAME, EnvironmentMissing)
    with pytest.raises(EnvironmentMissing):
        models.check_encoder("a/vlm", EnvironmentMissing)


def test_a_snapshot_names_no_encoder_that_is_not_allowed(tmp_path: Path) -> None:
    config = Settings.model_validate({"WORDSIGHT_HOME": tmp_path})
    facts = {"origin": "o", "generation": 1, "taken_at": "t", "encoder": None, "caption_recipes": {}, "parts": ()}
    named = Collection(name="c", encoder="/evil")
    manifest = Manifest.model_validate(facts | {"collection": named, "signed_by": "aa"})
    asked = _Asked(Path("c.snapshot"), None, None, None, False, False, 512)
    with pytest.raises(BadInput) as told:
        _judge(manifest, config, "aa", asked)
    assert (told.value.code, "--encoder" in str(told.value.fix)) == ("encoder_not_allowed", True)
    _judge(manifest, config, "aa", replace(asked, encoder="mine"))
    config.models.check_encoder("mine")
    with pytest.raises(BadInput):
        config.models.check_encoder("/evil")


LOADING = """
import json, os, socket, sys, threading, time
from pathlib import Path

hub, taken = socket.create_server(("127.0.0.1", 0)), []
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{hub.getsockname()[1]}"
threading.Thread(target=lambda: [taken.append(hub.accept()) for _ in range(99)], daemon=True).start()

from indexer.encoding.sentence_encoder import quiet_library
from indexer.encoding.serving import EncoderLoader
from scenes.allowed.models import AllowedModels
from scenes.errors import BadInput, EnvironmentMissing

quiet_library()
name, home = sys.argv[1], Path(sys.argv[2])
serving, commanding = EncoderLoader(home, AllowedModels(home, (name,))), EncoderLoader(home, None, ask_hub=True)
for load in (serving, serving, commanding):
    started = time.monotonic()
    try:
        load(name)
    except EnvironmentMissing as error:
        print(json.dumps([error.code, error.message, error.retry_after_s, time.monotonic() - started, len(taken)]))
"""


@pytest.mark.encoder
def test_a_silent_hub_is_asked_by_the_command_line_alone_and_not_for_ever(home: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment["HF_HOME"] = str(tmp_path)
    words = [sys.executable, "-c", LOADING, HUB_NAME, str(home)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=150, check=True)
    first, again, commanded = [json.loads(line) for line in done.stdout.splitlines()]
    assert {first[0], again[0], commanded[0]} == {"encoder_unavailable"}
    assert (first[2], 0 < again[2] <= 30, again[3] < 0.5, again[4]) == (None, True, True, 0)
    assert "could not be fetched from the model hub within 5 s" in commanded[1]
    assert (commanded[3] < 30, commanded[4] > 0) == (True, True)
