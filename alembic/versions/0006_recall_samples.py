"""samples of served searches, held against exact search"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'recall_samples',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column('collection_id', sa.BigInteger(), nullable=False),
        sa.Column('release', sa.Uuid(), nullable=False),
        sa.Column('wanted', sa.Integer(), nullable=False),
        sa.Column('found', sa.Integer(), nullable=False),
        sa.Column('sampled_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.ForeignKeyConstraint(
            ['collection_id'], ['collections.id'], name=op.f('fk_recall_samples_collection_id'), ondelete='CASCADE'
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_recall_samples')),
    )
    op.create_index(op.f('ix_recall_samples_release_id'), 'recall_samples', ['release', 'id'])
    op.create_index(
        op.f('ix_recall_samples_collection_id_sampled_at'), 'recall_samples', ['collection_id', 'sampled_at']
    )


def downgrade() -> None:
    op.drop_table('recall_samples')
