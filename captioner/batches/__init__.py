"""The Parquet batch folder: written, read, retried, published."""
