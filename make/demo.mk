.PHONY: demo run
demo: $(STAMP) models ## Sample photographs to a working search; ends by itself
	$(BIN)/wordsight demo

run: $(STAMP) models ## The same, then serve on 127.0.0.1:8000
	$(BIN)/wordsight demo --serve
