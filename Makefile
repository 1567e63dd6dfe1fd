# make demo    the main job on the bundled sample: pre-train, tag, export, serve, query
# make test    the whole test suite
# make lint    style and types
# make bench   speed and memory against PyTorch, in an environment of its own
# make bench-serving   the server against Ray Serve, MLServer and direct calls
# make soak    the server for half an hour under load, a new version every minute
# make lock    requirements.lock anew from setup.py
# make clean   removes what the others made

PYTHON ?= python3
UV_VERSION := 0.13.9
ARGUMENTS ?=

VENV := .venv
BENCH := .venv-bench
RAY := .venv-ray
MLSERVER := .venv-mlserver
# Written last: an interrupted installation leaves none, and the next call does it again.
STAMP := $(VENV)/installed
BENCH_STAMP := $(BENCH)/installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench bench-serving soak lock clean install

help:
	@sed -n 's/^# make/make/p' Makefile

demo: $(STAMP)
	$(VENV)/bin/polysemy demo $(ARGUMENTS)

test: $(STAMP)
	$(VENV)/bin/python -m pytest -q -n 2 $(ARGUMENTS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

bench: $(BENCH_STAMP)
	$(BENCH)/bin/python tests/benchmarks/run.py $(ARGUMENTS)

bench-serving: $(STAMP) $(RAY)/installed $(MLSERVER)/installed
	$(VENV)/bin/python tests/benchmarks/serving/server_comparison.py --ray-python $(RAY)/bin/python \
	    --mlserver-python $(MLSERVER)/bin/python $(ARGUMENTS)

soak: $(STAMP)
	$(VENV)/bin/python tests/benchmarks/serving/soak.py $(ARGUMENTS)

install: $(STAMP)

# Makes the environment $(1), installs $(2) into it, and the package, editable, with options $(3).
# From scratch uv needs a third of pip's time (20 s and 65 s on two cores with a near mirror).
define install
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || \
	{ echo "Error: Python 3.10, 3.11 or 3.12 is needed. Received: PYTHON=$(PYTHON)" >&2; exit 1; }
	$(PYTHON) -m venv $(1)
	@if $(1)/bin/python -m pip install -q uv==$(UV_VERSION) 2> /dev/null; then \
	    install="$(1)/bin/uv pip install -q --python $(1)/bin/python"; \
	else \
	    echo "uv cannot be installed; pip takes its place, which is slower"; \
	    install="$(1)/bin/python -m pip install -q"; \
	fi; \
	set -ex; \
	$$install $(2); \
	$$install $(3) --no-build-isolation -e .
endef

$(STAMP): requirements.lock setup.py pyproject.toml
	$(call install,$(VENV),-r requirements.lock,--no-deps)
	@# Type checkers do not see through the editable install's import hook; they see this link.
	@mkdir -p $(VENV)/typing && ln -sfn ../.. $(VENV)/typing/polysemy
	@touch $@

# Without extras: where Keras finds JAX, scikit-learn and matplotlib it imports them, 180 MiB.
$(BENCH_STAMP): requirements.lock setup.py pyproject.toml tests/benchmarks/requirements.txt
	$(call install,$(BENCH),-c requirements.lock setuptools,-c requirements.lock)
	@# By pip, which can be pointed at a build without CUDA; uv would take the one with it.
	$(BENCH)/bin/python -m pip install -q -r tests/benchmarks/requirements.txt
	@touch $@

$(RAY)/installed: requirements.lock tests/benchmarks/serving/requirements-ray.txt
	$(call install,$(RAY),-r requirements.lock -r tests/benchmarks/serving/requirements-ray.txt,--no-deps)
	@touch $@

$(MLSERVER)/installed: tests/benchmarks/serving/requirements-mlserver.txt
	$(PYTHON) -m venv $(MLSERVER)
	$(MLSERVER)/bin/python -m pip install -q -r tests/benchmarks/serving/requirements-mlserver.txt
	@touch $@

lock: $(STAMP)
	@{ sed '/^[^#]/,$$d' requirements.lock; \
	   $(VENV)/bin/uv pip compile setup.py --extra serving --extra recipes --extra dev --universal \
	       --python-version 3.10 --no-header --no-annotate --no-emit-index-url \
	       --no-emit-find-links -q; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) $(BENCH) $(RAY) $(MLSERVER) build dist polysemy.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
