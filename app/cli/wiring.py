"""What commands are made of: settings, an open catalog, an encoder, a captioning engine."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from app.cli import stopping
from app.settings import Settings
from scenes.errors import BadInput, EnvironmentMissing
from scenes.host.private_files import open_home
from scenes.recipe import EngineName

if TYPE_CHECKING:
    from captioner.engines.engine import Describer
    from indexer.encoding.encoder import Encoder
    from indexer.reranking.reranking import Reranking
    from scenes.allowed.models import AllowedModels
    from scenes.catalog.connection import Catalog
    from scenes.collection import Collection

_T = TypeVar("_T")
_M = TypeVar("_M", bound=BaseModel)
_ENGINES = get_args(EngineName)


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """What the command line says of the captioning engine."""

    engine: EngineName | None = None
    model: str | None = None
    options: tuple[str, ...] = ()
    consent: bool = False


def engine_name(flag: str | None) -> EngineName | None:
    """The engine that a flag names. Raises `BadInput` (`engine_unknown`)."""
    if flag is not None and flag not in _ENGINES:
        raise BadInput("engine_unknown", f"there is no engine {flag!r}", fix=f"choose one of {', '.join(_ENGINES)}")
    return cast(EngineName | None, flag)


def checked(kind: type[_M], **values: Any) -> _M:
    """A model of checked values. Raises `BadInput` (`value_invalid`)."""
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput("value_invalid", f"{where}: {first['msg']}") from error


def settings() -> Settings:
    """The settings from the environment, their data folder closed to other users.

    Raises `BadInput` (`settings_invalid`, `home_shared`), `EnvironmentMissing` (`home_unusable`).
    """
    try:
        found = Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise BadInput(
            "settings_invalid", f"{name}: {first['msg']}", fix=f"correct {name} in the environment"
        ) from error
    except SettingsError as error:
        raise BadInput("settings_invalid", f"{error}", fix='lists are JSON: ["/data/photos"]') from error
    open_home(found.home)
    keep_caches(found.home)
    return found


def keep_caches(home: Path) -> None:
    """Importing torch may make a folder for compiled code; it is in the data folder, not in the temporary one."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(home / "cache" / "torch"))


@asynccontextmanager
async def open_catalog(config: Settings) -> AsyncIterator["Catalog"]:
    """A migrated catalog: the Postgres that DATABASE_URL names, else the embedded one."""
    from scenes.catalog.connection import Catalog
    from scenes.catalog.embedded import postgres

    with postgres(config.home, config.database) as url:
        catalog = Catalog.connect(url)
        try:
            yield catalog
        finally:
            await catalog.close()


def with_catalog(work: Callable[["Catalog", Settings], Awaitable[_T]]) -> _T:
    """Run async work on an open catalog."""

    async def run() -> _T:
        config = settings()
        async with open_catalog(config) as catalog:
            return await work(catalog, config)

    return stopping.run(run())


def load_encoder(name: str | None) -> "Encoder":
    """The encoder that a collection names, None for the shipped one.

    Raises `EnvironmentMissing` (`encoder_not_allowed`), and as the encoder's loading does.
    """
    return _load_encoder(name, settings().models)


def load_named_encoder(name: str | None) -> "Encoder":
    """An encoder that was named at the command line: any. Raises as its loading does."""
    return _load_encoder(name, None)


def _load_encoder(name: str | None, models: "AllowedModels | None") -> "Encoder":
    from indexer.encoding.serving import EncoderLoader

    config = settings()
    return EncoderLoader(config.home, models, config.encoder_runtime, ask_hub=True)(name)


def load_reranking(folder: Path | None) -> "Reranking | None":
    """The re-ranker in a folder, without a budget: all its candidates, however long that takes.

    Raises `BadInput` (`reranker_invalid`), `EnvironmentMissing` (`encoder_not_installed`).
    """
    if folder is None:
        return None
    from indexer.reranking.cross_encoder import FolderReranker
    from indexer.reranking.reranking import Reranking

    return Reranking(FolderReranker.load(folder))


def choose_engine(flag: EngineName | None, collection: "Collection | None") -> EngineName:
    """The engine that a flag or the collection names; none is ever chosen silently.

    Raises `BadInput`: `engine_not_chosen`, `engine_differs`.
    """
    named = collection.engine if collection else None
    if flag is None and named is None:
        raise BadInput(
            "engine_not_chosen",
            "no captioning engine was chosen",
            fix="add --engine vllm (a GPU), --engine openai (a server you have) or --engine basic (a bare CPU)",
        )
    if flag is not None and named is not None and flag != named:
        raise BadInput(
            "engine_differs",
            f"this collection is captioned by {named!r}, not by {flag!r}",
            fix=f"leave --engine out, or: wordsight collection set NAME --engine {flag}",
        )
    chosen = flag or named
    assert chosen is not None  # noqa: S101 - one of the two is there
    return chosen


def make_describer(engine: EngineName, model: str | None, options: list[str], *, consent: bool) -> "Describer":
    """An engine, ready to describe. Raises `EnvironmentMissing` where it can't run here; never another engine."""
    if engine == "basic":
        return _basic(model, options)
    if engine == "openai":
        from captioner.engines.openai import OpenAIDescriber

        return OpenAIDescriber.from_options(model, options, consent=consent)
    from captioner.engines.vllm import VllmDescriber

    return VllmDescriber.from_options(model, options)


def _basic(model: str | None, options: list[str]) -> "Describer":
    if model is not None or options:
        raise BadInput("engine_option_unknown", "the basic engine takes no model and no options")
    try:
        from captioner.engines.basic.describer import BasicDescriber
    except ImportError as error:
        raise EnvironmentMissing(
            "engine_not_installed",
            f"the basic engine is not installed: {error}",
            fix="pip install 'wordsight[captioner]'",
        ) from error
    return BasicDescriber()
