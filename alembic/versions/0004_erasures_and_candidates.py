"""what was erased outlives its collection; the release of another encoder stands beside"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('erasures',
    sa.Column('id', sa.Uuid(), server_default=sa.text('gen_random_uuid()'), nullable=False),
    sa.Column('origin', sa.Uuid(), nullable=False),
    sa.Column('image_id', sa.Text(), nullable=False),
    sa.Column('erased_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_erasures'))
    )
    op.create_index(op.f('ix_erasures_origin_image_id'), 'erasures', ['origin', 'image_id'], unique=False)
    op.add_column('collections', sa.Column('candidate_release', sa.Uuid(), nullable=True))
    op.add_column(
        'collections', sa.Column('origin', sa.Uuid(), server_default=sa.text('gen_random_uuid()'), nullable=False)
    )
    op.create_index(op.f('ix_collections_origin'), 'collections', ['origin'], unique=False)
    op.add_column('releases', sa.Column('encoder_name', sa.Text(), nullable=True))
    op.execute(
        "UPDATE releases r SET encoder_name = c.settings ->> 'encoder' FROM collections c WHERE c.id = r.collection_id"
    )
    op.execute(
        "INSERT INTO erasures (origin, image_id, erased_at) SELECT c.origin, t.image_id, t.deleted_at"
        " FROM tombstones t JOIN collections c ON c.id = t.collection_id"
    )


def downgrade() -> None:
    op.drop_column('releases', 'encoder_name')
    op.drop_index(op.f('ix_collections_origin'), table_name='collections')
    op.drop_column('collections', 'origin')
    op.drop_column('collections', 'candidate_release')
    op.drop_index(op.f('ix_erasures_origin_image_id'), table_name='erasures')
    op.drop_table('erasures')
