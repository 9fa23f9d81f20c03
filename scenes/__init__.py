"""The shared language of wordsight: nouns that every room speaks, pydantic and the standard library only."""
