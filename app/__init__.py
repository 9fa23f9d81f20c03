"""Query to answer: the server, its pages and the one command `wordsight`."""
