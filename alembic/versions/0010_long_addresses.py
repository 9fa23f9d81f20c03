"""addresses of images that are longer than an index takes"""

from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint('pk_image_uris', 'image_uris')
    op.execute("CREATE UNIQUE INDEX uq_image_uris_uri ON image_uris (image, md5(uri))")


def downgrade() -> None:
    op.drop_index('uq_image_uris_uri', table_name='image_uris')
    op.create_primary_key('pk_image_uris', 'image_uris', ['image', 'uri'])
