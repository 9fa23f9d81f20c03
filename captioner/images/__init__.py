"""Image bytes: decoding, EXIF and near-duplicates."""
