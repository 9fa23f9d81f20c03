"""a column that was never written"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column('images', 'perceptual_hash')


def downgrade() -> None:
    op.add_column('images', sa.Column('perceptual_hash', sa.BigInteger(), nullable=True))
