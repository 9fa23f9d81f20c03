"""Pages for people: server-rendered, small scripts."""
