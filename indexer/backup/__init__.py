"""A collection as one signed file: written by `wordsight snapshot`, read by `wordsight restore`."""
