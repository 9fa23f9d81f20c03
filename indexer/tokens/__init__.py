"""Token vectors: late interaction with those of a query, where they are kept, and whose tokens won."""
