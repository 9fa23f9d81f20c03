"""Settings from the environment, built once at the edge and passed on as values; never read at import."""

from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _default_home() -> Path:
    return platformdirs.user_data_path("wordsight")


class Settings(BaseSettings):
    """What every executable needs: where data lies and which Postgres to use."""

    model_config = SettingsConfigDict(extra="ignore")

    home: Path = Field(default_factory=_default_home, validation_alias="WORDSIGHT_HOME")
    database_url: str | None = Field(None, validation_alias="DATABASE_URL")
    encoder_runtime: Literal["onnx", "torch"] = Field("onnx", validation_alias="WORDSIGHT_ENCODER_RUNTIME")
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)] = Field(64, validation_alias="WORDSIGHT_MAX_CONCURRENT")
    requests_per_key: Annotated[float, Field(gt=0)] = Field(500.0, validation_alias="WORDSIGHT_REQUESTS_PER_KEY")
    server_processes: Annotated[int, Field(ge=1)] = Field(1, validation_alias="WORDSIGHT_SERVER_PROCESSES")
    request_log: Literal["errors", "all"] = Field("errors", validation_alias="WORDSIGHT_REQUEST_LOG")
    secret: str | None = Field(None, validation_alias="WORDSIGHT_SECRET")

    @property
    def database(self) -> str | None:
        """`DATABASE_URL` as text."""
        return self.database_url or None
