"""an index of the words that descriptions say"""

from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_descriptions_words ON descriptions"
        " USING gin (jsonb_to_tsvector('simple'::regconfig, body, '\"string\"'::jsonb))"
    )


def downgrade() -> None:
    op.drop_index('ix_descriptions_words', table_name='descriptions')
