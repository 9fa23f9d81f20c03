"""answers to writes are kept without their bodies"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("TRUNCATE idempotency")
    op.drop_column('idempotency', 'media_type')
    op.drop_column('idempotency', 'body')
    op.add_column('idempotency', sa.Column('resource', sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("TRUNCATE idempotency")
    op.drop_column('idempotency', 'resource')
    op.add_column('idempotency', sa.Column('media_type', sa.Text(), nullable=True))
    op.add_column('idempotency', sa.Column('body', sa.LargeBinary(), nullable=True))
