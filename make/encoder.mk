.PHONY: encoder
encoder: $(STAMP) models ## Train the shipped encoder anew (DATA=folder with captions-train.jsonl); about half an hour
	$(BIN)/python -m benchmarks.shipped_encoder $(DATA)
