"""jobs, uploads, the audit log, and which migrations of the queue's own tables were applied"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

now = sa.text('now()')


def jsonb(name: str) -> sa.Column:
    return sa.Column(name, postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)


def moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def upgrade() -> None:
    op.create_table(
        'jobs',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('number', sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column('collection_id', sa.BigInteger(), nullable=False),
        sa.Column('kind', sa.Text(), nullable=False),
        sa.Column('source', sa.Text(), nullable=True),
        sa.Column('state', sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column('key_id', sa.Text(), nullable=False),
        jsonb('counts'),
        jsonb('reasons'),
        sa.Column('error', postgresql.JSONB(), nullable=True),
        sa.Column('attempt', sa.Integer(), server_default=sa.text('0'), nullable=False),
        sa.Column('cancel_requested', sa.Boolean(), server_default=sa.text('false'), nullable=False),
        sa.Column('queue_job', sa.BigInteger(), nullable=True),
        moment('created_at'),
        moment('updated_at'),
        sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('ingest', 'publish', 'index', 'upload')", name=op.f('ck_jobs_kind')),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f('ck_jobs_state')
        ),
        sa.ForeignKeyConstraint(
            ['collection_id'], ['collections.id'], name=op.f('fk_jobs_collection_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs')),
        sa.UniqueConstraint('number', name=op.f('uq_jobs_number')),
    )
    op.create_index(op.f('ix_jobs_collection_id_number'), 'jobs', ['collection_id', 'number'])
    op.create_index(op.f('ix_jobs_key_id_state'), 'jobs', ['key_id', 'state'])
    op.create_table(
        'uploads',
        sa.Column('job_id', sa.Uuid(), nullable=False),
        sa.Column('key', sa.LargeBinary(), nullable=True),
        sa.Column('image_id', sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_uploads_job_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('job_id', name=op.f('pk_uploads')),
    )
    op.create_table(
        'audit',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
        moment('at'),
        sa.Column('key_id', sa.Text(), nullable=False),
        sa.Column('action', sa.Text(), nullable=False),
        sa.Column('collection', sa.Text(), nullable=True),
        sa.Column('target', sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_audit')),
    )
    op.create_index(op.f('ix_audit_collection_id'), 'audit', ['collection', 'id'])
    op.create_table(
        'queue_migrations',
        sa.Column('name', sa.Text(), nullable=False),
        moment('at'),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_queue_migrations')),
    )


def downgrade() -> None:
    for name in ('queue_migrations', 'audit', 'uploads', 'jobs'):
        op.drop_table(name)
