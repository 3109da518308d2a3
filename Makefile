.DEFAULT_GOAL := help
SHELL := /bin/sh
# The first Python of 3.11 to 3.13; `make PYTHON=/path/to/python ...` chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
BIN := .venv/bin

.PHONY: help
help:
	@echo 'make demo         train on handwritten digits, export, serve, draw 64 images into demo/'
	@echo 'make test         all tests but those below'
	@echo 'make conformance  what TensorFlow Serving answers: the embedded server or any other, see CONTRIBUTING.md'
	@echo 'make test-slow    tests that take minutes: thousands of damaged requests, virtual environments, exhaustion'
	@echo 'make test-docker  the tests that need a Docker engine'
	@echo 'make test-gpu     the tests that need a GPU; says "no GPU" without one'
	@echo 'make lint         ruff, mypy and pyright'
	@echo 'make bench        the benchmarks behind every claim, one JSON line each'
	@echo 'make dist         wheel and sdist, into dist/'
	@echo 'make clean        remove .venv, demo/, dist/ and caches'

.venv/python:
	@test -n "$(PYTHON)" || { echo 'expected Python 3.11, 3.12 or 3.13, found none; install one or set PYTHON' >&2; exit 2; }
	$(PYTHON) -m venv .venv
	touch $@

.venv/demo: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[serve,train]'
	touch $@

.venv/dev: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ .venv/demo

.venv/bench: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@ .venv/dev .venv/demo

.PHONY: demo
demo: .venv/demo
	@$(BIN)/python scripts/demo.py

.PHONY: test
test: .venv/dev
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m 'not docker and not gpu and not slow'

# Against any server: GANNET_CONFORMANCE_TARGET=host:port, GANNET_CONFORMANCE_REST=host:port if it has REST, and
# GANNET_CONFORMANCE_BATCHING_TARGET=host:port for one with batching.
.PHONY: conformance
conformance: .venv/dev
	$(BIN)/python -m pytest tests/conformance

.PHONY: test-slow
test-slow: .venv/dev
	$(BIN)/python -m pytest -m slow tests

.PHONY: test-docker
test-docker: .venv/dev
	$(BIN)/python -m pytest -m docker tests/docker

.PHONY: test-gpu
test-gpu: .venv/dev
	$(BIN)/python -m pytest -m gpu tests/gpu

.PHONY: lint
lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict client tests/typing
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

.PHONY: bench
bench: .venv/bench
	test -d demo/run || $(BIN)/python scripts/demo.py
	$(BIN)/python benchmarks/demo_quality.py
	$(BIN)/python benchmarks/noise.py
	$(BIN)/python benchmarks/export_speed.py
	$(BIN)/python benchmarks/train_step.py
	$(BIN)/python benchmarks/input_wait.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/server_start.py
	$(BIN)/python benchmarks/versions_under_load.py
	$(BIN)/python benchmarks/reload_memory.py
	$(BIN)/python benchmarks/client_codec.py
	$(BIN)/python benchmarks/client_install.py
	$(BIN)/python benchmarks/client_overhead.py
	$(BIN)/python benchmarks/server.py
	$(BIN)/python benchmarks/growth.py

.PHONY: dist
dist: .venv/dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

.PHONY: clean
clean:
	rm -rf .venv demo dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
