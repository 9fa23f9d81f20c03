"""Settings from the environment, built once at the edge and passed on as values; never read at import."""

from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.http.limits import MOST_STREAMS, MOST_UPLOADS, STREAMS_PER_KEY, UPLOADS_PER_KEY
from scenes.allowed.models import AllowedModels
from scenes.allowed.sources import checked_root
from scenes.host.processes import cores_for_each

JobSource = Annotated[str, AfterValidator(checked_root)]
ADMITTED_PER_CORE = 64
"""Two full batches: one is embedded while the other comes together, and a full server still answers soon."""


def _default_home() -> Path:
    return platformdirs.user_data_path("wordsight")


class Settings(BaseSettings):
    """What every executable needs: where data lies and which Postgres to use."""

    model_config = SettingsConfigDict(extra="ignore")

    home: Path = Field(default_factory=_default_home, validation_alias="WORDSIGHT_HOME")
    database_url: str | None = Field(None, validation_alias="DATABASE_URL")
    encoder_runtime: Literal["auto", "fp32", "torch"] = Field("auto", validation_alias="WORDSIGHT_ENCODER_RUNTIME")
    server_processes: Annotated[int, Field(ge=1)] = Field(1, validation_alias="WORDSIGHT_SERVER_PROCESSES")
    """Set by `wordsight serve` for its processes, which share cores and limits."""
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default_factory=lambda data: ADMITTED_PER_CORE * cores_for_each(data.get("server_processes", 1)),
        validation_alias="WORDSIGHT_MAX_CONCURRENT",
    )
    """So many requests are answered at once by a process; what is beyond is refused."""
    requests_per_key: Annotated[float, Field(gt=0)] = Field(500.0, validation_alias="WORDSIGHT_REQUESTS_PER_KEY")
    connections_per_address: Annotated[int, Field(ge=1)] = Field(
        512, validation_alias="WORDSIGHT_CONNECTIONS_PER_ADDRESS"
    )
    """In all processes together; the first half of an IPv6 address counts as one address."""
    connections: Annotated[int, Field(ge=1)] = Field(4_096, validation_alias="WORDSIGHT_CONNECTIONS")
    """Of a process; beyond them the connection that has waited longest makes room."""
    head_timeout_s: Annotated[float, Field(gt=0)] = Field(10.0, validation_alias="WORDSIGHT_HEAD_TIMEOUT")
    body_timeout_s: Annotated[float, Field(gt=0)] = Field(10.0, validation_alias="WORDSIGHT_BODY_TIMEOUT")
    """In each such time a client must send, or read, 1 KiB for each of its seconds."""
    trusted_proxies: str = Field("", validation_alias="WORDSIGHT_TRUST_PROXY")
    """Set by `wordsight serve --trust-proxy` for its processes."""
    index_device: Literal["cpu", "gpu"] = Field("cpu", validation_alias="WORDSIGHT_INDEX_DEVICE")
    recall_sample_every_s: Annotated[float, Field(ge=0)] = Field(60.0, validation_alias="WORDSIGHT_RECALL_SAMPLE_EVERY")
    reranker: Path | None = Field(None, validation_alias="WORDSIGHT_RERANKER")
    """The folder of a cross-encoder that puts the best candidates in its order; none by default."""
    rerank_budget_s: Annotated[float, Field(gt=0, le=60)] = Field(0.2, validation_alias="WORDSIGHT_RERANK_BUDGET")
    """So long a search may be re-ranked, the wait for its turn included; what was not reached keeps its order."""
    embed_share: Annotated[float, Field(ge=0, le=1)] = Field(0.2, validation_alias="WORDSIGHT_EMBED_SHARE")
    """The share of its time that a server spends on embedding what is new while searches come; 0 leaves all of it to
    `wordsight worker`."""
    request_log: Literal["errors", "all"] = Field("errors", validation_alias="WORDSIGHT_REQUEST_LOG")
    job_sources: tuple[JobSource, ...] = Field((), validation_alias="WORDSIGHT_JOB_SOURCES")
    """Folders and URL prefixes that jobs over REST may name, as a JSON list; none by default."""
    jobs_per_key: Annotated[int, Field(ge=1, le=100_000)] = Field(64, validation_alias="WORDSIGHT_JOBS_PER_KEY")
    streams_per_key: Annotated[int, Field(ge=1, le=MOST_STREAMS)] = Field(
        STREAMS_PER_KEY, validation_alias="WORDSIGHT_STREAMS_PER_KEY"
    )
    """So many jobs a key may follow at once, of each process."""
    uploads_per_key: Annotated[int, Field(ge=1, le=MOST_UPLOADS)] = Field(
        UPLOADS_PER_KEY, validation_alias="WORDSIGHT_UPLOADS_PER_KEY"
    )
    """So many images a key may send at once, to each process."""
    worker_lost_after_s: Annotated[float, Field(ge=0.5)] = Field(30.0, validation_alias="WORDSIGHT_WORKER_LOST_AFTER")
    encoders: tuple[str, ...] = Field((), validation_alias="WORDSIGHT_ENCODERS")
    """Encoders beside the packaged ones that collections may name, folders or hub names, as a JSON list."""
    engine_models: tuple[str, ...] = Field((), validation_alias="WORDSIGHT_ENGINE_MODELS")
    """Captioning models beside an engine's default that collections may name, as a JSON list."""
    engine_options: str = Field("", validation_alias="WORDSIGHT_ENGINE_OPTIONS")
    """What `wordsight worker` gives its captioning engine, such as `--base-url http://vlm:8000/v1`."""
    traces: str | None = Field(None, validation_alias="WORDSIGHT_TRACES")
    """Where OpenTelemetry spans go, such as http://collector:4318/v1/traces; none by default."""
    traces_share: Annotated[float, Field(ge=0, le=1)] = Field(0.05, validation_alias="WORDSIGHT_TRACES_SHARE")
    """Which share of requests is traced, beside those that failed and those whose caller traces them."""
    cors_origins: tuple[str, ...] = Field((), validation_alias="WORDSIGHT_CORS_ORIGINS")
    """Web sites whose scripts may call the REST interface with a key, as a JSON list; none by default."""
    secret: str | None = Field(None, validation_alias="WORDSIGHT_SECRET")
    schema_is_new: bool = Field(False, validation_alias="WORDSIGHT_SCHEMA_IS_NEW")
    """Set by `wordsight serve` for its processes: it has migrated the database that they share."""

    @property
    def spool(self) -> Path:
        """Where uploaded images wait, encrypted; the server and its workers share it."""
        return self.home / "spool"

    @property
    def models(self) -> AllowedModels:
        """The models that collections may name."""
        return AllowedModels(self.home, self.encoders, self.engine_models)

    @property
    def database(self) -> str | None:
        """`DATABASE_URL` as text."""
        return self.database_url or None
