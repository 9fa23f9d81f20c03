"""word vectors beside the vectors of a description"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        'embeddings', sa.Column('words', sa.LargeBinary(), server_default=sa.text("''::bytea"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column('embeddings', 'words')
