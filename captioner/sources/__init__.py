"""Where images come from. Nothing of a name ever reaches an engine, and nothing is listed before it is needed.

A source is a folder, a file, a glob, a list file, an HTTP(S) URL, a zip, a tar (WebDataset too), a Parquet file with
an image column, or anything fsspec opens (`s3://…`, `gs://…`); globs and lists may name archives.
"""

from captioner.sources.guard import Guard
from captioner.sources.item import Item
from captioner.sources.naming import container
from captioner.sources.opening import check, items
from captioner.sources.shards import Shard

__all__ = ["Guard", "Item", "Shard", "check", "container", "items"]
