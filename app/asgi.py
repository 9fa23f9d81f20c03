"""The wiring of the server: `uvicorn --factory app.asgi:create` with DATABASE_URL and WORDSIGHT_HOME set."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from datetime import timedelta

from fastapi import FastAPI

from app.http.access import KeyCache
from app.http.limits import KeyLimits, open_streams, open_uploads
from app.http.security import Secret
from app.http.server.parent_process import has_started
from app.http.telemetry.metrics import Metrics
from app.http.telemetry.request_log import REQUESTS
from app.http.telemetry.tracing import open_tracing
from app.jobs.service import Desk
from app.keys.service import Keys
from app.main import create_app
from app.search.embedding import BackgroundEmbedding
from app.search.expiry import purging
from app.search.log import batching
from app.search.service import make_service
from app.settings import Settings
from app.state import State
from app.uploads.spool import Spool
from app.worker.alive import counting_workers
from indexer.encoding.serving import EncoderLoader
from indexer.releases.loading import itself
from indexer.releases.recall_sample import RecallSampler
from indexer.releases.recall_watch import RecallWatch
from indexer.reranking.reranking import Reranking
from indexer.vectors.faiss_gpu import FaissGpu
from indexer.vectors.gpu_replica import Accelerator
from scenes.catalog.connection import Catalog
from scenes.catalog.embedded import postgres, with_driver
from scenes.host.private_files import open_home, restrict_new_files
from scenes.host.processes import cores_for_each

POOL_SIZE = 10
_SWITCH_S = 0.0005
"""The loop that answers gets the interpreter back so soon from threads that rank; Python's own 5 ms are a search."""
_COLLECTED_AFTER = (20_000, 20, 50)
"""So many new objects, younger and older collections: with 700 objects a twentieth of all time was spent on it."""
_log = logging.getLogger(__name__)


def create() -> FastAPI:
    """The app, from the environment."""
    restrict_new_files()
    sys.setswitchinterval(_SWITCH_S)
    config, metrics = Settings(), Metrics()
    _log_requests(logging.INFO if config.request_log == "all" else logging.ERROR)
    tracing = open_tracing(config.traces, config.traces_share)

    @asynccontextmanager
    async def state() -> AsyncIterator[State]:
        async with opened(config, metrics) as ready:
            has_started()
            yield ready

    return create_app(state, metrics, config.max_concurrent, config.cors_origins, tracing)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """What is loaded stays, and most of what requests leave behind is no garbage but kept: the collector need not look
    through it again and again while requests wait."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _log_requests(level: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger(REQUESTS)
    log.handlers, log.propagate = [handler], False
    log.setLevel(level)


@asynccontextmanager
async def opened(config: Settings, metrics: Metrics) -> AsyncIterator[State]:
    """Everything the server needs; the shipped encoder, and a re-ranker, are warm before the first request."""
    open_home(config.home)
    with _migrated(config) as url:
        catalog = Catalog.connect(url, pool_size=POOL_SIZE)
        try:
            async with _state(catalog, config, metrics) as state:
                yield state
        finally:
            await catalog.close()


def _migrated(config: Settings) -> AbstractContextManager[str]:
    """The URL of a database with the newest schema.

    A process that `wordsight serve` starts does not ask for it again: one that replaces a killed one while Postgres is
    away is not ready until Postgres is back, but it is there, and it never takes the others with it.
    """
    if config.schema_is_new and config.database is not None:
        return nullcontext(with_driver(config.database))
    return postgres(config.home, config.database)


def _desk(catalog: Catalog, config: Settings, secret: Secret) -> Desk:
    lost_after = timedelta(seconds=config.worker_lost_after_s)
    return Desk(catalog, Spool(config.spool, secret), config.job_sources, config.jobs_per_key, lost_after)


def _reranking(config: Settings) -> Reranking | None:
    """The re-ranker that is set, warm. Raises `BadInput` (`reranker_invalid`), `EnvironmentMissing`."""
    if config.reranker is None:
        return None
    from indexer.reranking.cross_encoder import FolderReranker

    reranker = FolderReranker.load(config.reranker)
    _log.info("searches are re-ranked by %s", reranker.name)
    return Reranking(reranker, timedelta(seconds=config.rerank_budget_s))


@asynccontextmanager
async def _state(catalog: Catalog, config: Settings, metrics: Metrics) -> AsyncIterator[State]:
    secret = Secret.load(config.home, config.secret)
    load = EncoderLoader(config.home, config.models, config.encoder_runtime)
    lost_after = timedelta(seconds=config.worker_lost_after_s)
    counting = counting_workers(catalog, lost_after, metrics.workers_alive.set)
    async with batching(catalog) as log, purging(catalog), counting:
        sampler = RecallSampler(timedelta(seconds=config.recall_sample_every_s))
        recall = RecallWatch(catalog, sampler, metrics)
        accelerate = Accelerator(FaissGpu, metrics.fell_back) if config.index_device == "gpu" else itself
        reranking = await asyncio.to_thread(_reranking, config)
        service = make_service(
            catalog,
            load,
            config.home,
            secret,
            log=log,
            watcher=metrics,
            accelerate=accelerate,
            sampler=sampler,
            reranking=reranking,
            runners=cores_for_each(config.server_processes),
        )
        encoders = service.retriever.encoders
        metrics.follow(lambda: encoders.waiting, lambda: log.waiting)
        embedding = BackgroundEmbedding(catalog, encoders, metrics, config.embed_share)
        limits = KeyLimits(config.requests_per_key / config.server_processes)
        try:
            await encoders.of(None)
            async with encoders.following(), recall.watching(), embedding.running():
                keys = KeyCache(Keys(catalog, secret))
                metrics.is_ready()
                with _seldom_collected():
                    yield State(
                        catalog,
                        service,
                        log,
                        keys,
                        secret,
                        limits,
                        metrics,
                        _desk(catalog, config, secret),
                        embedding,
                        config.models,
                        open_streams(config.streams_per_key),
                        open_uploads(config.uploads_per_key),
                        recall=recall,
                    )
        finally:
            service.close()
