"""Every table, as SQLAlchemy Core. Alembic's migrations are checked to give exactly these."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMES)


def _row_id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _now(name: str = "created_at") -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _of_collection() -> Column[int]:
    return Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), nullable=False)


collections = Table(
    "collections",
    metadata,
    _row_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("settings", JSONB, nullable=False),
    Column("generation", BigInteger, nullable=False, server_default=text("0")),
    Column("active_release", Uuid, nullable=True),
    Column("previous_release", Uuid, nullable=True),
    Column("candidate_release", Uuid, nullable=True),
    Column("origin", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    _now(),
    Index(None, "origin"),
)

caption_recipes = Table(
    "caption_recipes",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("body", JSONB, nullable=False),
    _now(),
)

encoder_recipes = Table(
    "encoder_recipes",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("body", JSONB, nullable=False),
    _now(),
)

images = Table(
    "images",
    metadata,
    _row_id(),
    _of_collection(),
    Column("image_id", Text, nullable=False),
    Column("id_from", Text, nullable=False),
    Column("external_id", Text, nullable=True),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("description_id", BigInteger, nullable=True),
    Column("generation", BigInteger, nullable=False),
    _now(),
    UniqueConstraint("collection_id", "image_id"),
    CheckConstraint("id_from IN ('bytes', 'sha256', 'external')", name="id_from"),
    Index(None, "collection_id", "generation"),
    Index(None, "collection_id", "external_id"),
)

image_uris = Table(
    "image_uris",
    metadata,
    Column("image", ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    Column("uri", Text, nullable=False),
    _now(),
)
Index("uq_image_uris_uri", image_uris.c.image, func.md5(image_uris.c.uri), unique=True)
"""Of a digest: an index takes no text as long as an address may be."""

descriptions = Table(
    "descriptions",
    metadata,
    _row_id(),
    Column("image", ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    Column("source", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("recipe", ForeignKey("caption_recipes.fingerprint"), nullable=True),
    Column("body", JSONB, nullable=False),
    Column("support", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("usage", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("notes", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    _now(),
    UniqueConstraint("image", "variant"),
    CheckConstraint("source IN ('machine', 'import', 'person')", name="source"),
)

SAID = text("jsonb_to_tsvector('simple'::regconfig, body, '\"string\"'::jsonb)")
"""The words that a description says, and where: what the lexical index holds."""
Index("ix_descriptions_words", SAID, _table=descriptions, postgresql_using="gin")

embeddings = Table(
    "embeddings",
    metadata,
    Column("description_id", ForeignKey("descriptions.id", ondelete="CASCADE"), nullable=False),
    Column("encoder", ForeignKey("encoder_recipes.fingerprint"), nullable=False),
    Column("vectors", LargeBinary, nullable=False),
    Column("words", LargeBinary, nullable=False, server_default=text("''::bytea")),
    Column("truncated", Boolean, nullable=False),
    PrimaryKeyConstraint("description_id", "encoder"),
)

tombstones = Table(
    "tombstones",
    metadata,
    _row_id(),
    _of_collection(),
    Column("image_row", BigInteger, nullable=False),
    Column("image_id", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    _now("deleted_at"),
    Index(None, "collection_id", "generation"),
)

erasures = Table(
    "erasures",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("origin", Uuid, nullable=False),
    Column("image_id", Text, nullable=False),
    _now("erased_at"),
    Index(None, "origin", "image_id"),
)

outcomes = Table(
    "outcomes",
    metadata,
    _of_collection(),
    Column("image_id", Text, nullable=False),
    Column("recipe", ForeignKey("caption_recipes.fingerprint"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("uri", Text, nullable=True),
    _now("at"),
    PrimaryKeyConstraint("collection_id", "image_id", "recipe"),
    CheckConstraint("kind IN ('refused', 'failed')", name="kind"),
)

releases = Table(
    "releases",
    metadata,
    Column("id", Uuid, primary_key=True),
    _of_collection(),
    Column("encoder", ForeignKey("encoder_recipes.fingerprint"), nullable=False),
    Column("encoder_name", Text, nullable=True),
    Column("index_recipe", JSONB, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("folder", Text, nullable=False),
    Column("manifest_sha256", Text, nullable=False),
    Column("recall_at_10", Double, nullable=True),
    _now(),
    Index(None, "collection_id"),
)

recall_samples = Table(
    "recall_samples",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _of_collection(),
    Column("release", Uuid, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("found", Integer, nullable=False),
    _now("sampled_at"),
    Index(None, "release", "id"),
    Index(None, "collection_id", "sampled_at"),
)

searches = Table(
    "searches",
    metadata,
    Column("id", Uuid, primary_key=True),
    _of_collection(),
    Column("release", Uuid, nullable=True),
    Column("query_text", Text, nullable=True),
    Column("query_hash", LargeBinary, nullable=True),
    Column("k", Integer, nullable=False),
    Column("results", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index(None, "expires_at"),
    Index(None, "collection_id", "created_at"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("search_id", ForeignKey("searches.id", ondelete="CASCADE"), nullable=False),
    Column("image_id", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    _now(),
    PrimaryKeyConstraint("search_id", "image_id"),
    CheckConstraint("verdict IN ('relevant', 'irrelevant')", name="verdict"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", LargeBinary, nullable=False),
    Column("key", Text, nullable=False),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("status", Integer, nullable=True),
    Column("resource", Text, nullable=True),
    _now(),
    PrimaryKeyConstraint("caller", "key"),
    Index(None, "created_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("hmac", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("scope", Text, nullable=False),
    _now(),
    Column("expires_at", DateTime(timezone=True), nullable=True),
    Column("revoked_at", DateTime(timezone=True), nullable=True),
    CheckConstraint("scope IN ('search', 'ingest', 'admin')", name="scope"),
)

login_tokens = Table(
    "login_tokens",
    metadata,
    Column("hmac", LargeBinary, primary_key=True),
    _now(),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    _now("ended_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False, unique=True),
    _of_collection(),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=True),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    Column("key_id", Text, nullable=False),
    Column("counts", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("reasons", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("error", JSONB, nullable=True),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("queue_job", BigInteger, nullable=True),
    _now(),
    _now("updated_at"),
    Column("started_at", DateTime(timezone=True), nullable=True),
    Column("ended_at", DateTime(timezone=True), nullable=True),
    CheckConstraint("kind IN ('ingest', 'publish', 'index', 'upload')", name="kind"),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
    Index(None, "collection_id", "number"),
    Index(None, "key_id", "state"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", LargeBinary, nullable=True),
    Column("image_id", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    _row_id(),
    _now("at"),
    Column("key_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("collection", Text, nullable=True),
    Column("target", Text, nullable=True),
    Index(None, "collection", "id"),
)

queue_migrations = Table("queue_migrations", metadata, Column("name", Text, primary_key=True), _now("at"))
