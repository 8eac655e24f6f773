# Needs make and Python 3.11 or later; everything else is installed into .venv from requirements-dev.lock.
# ARGS are passed on: make test ARGS="-k topics", make demo ARGS=--keep. Tests mostly wait, so two files run at
# a time, each on a broker of its own; ARGS="-n 0 -s" is for a debugger.

VENV := .venv
BIN := $(VENV)/bin
# The stamp is as old as the last installation: a newer lock or pyproject.toml installs again.
STAMP := $(VENV)/.installed
# The first Python that is new enough; PYTHON=... takes another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS ?=
LOCK = .tocsin/lock/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-kubernetes lint soak bench profile lock sbom clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

venv: $(STAMP) ## make the Python environment in .venv

demo: $(STAMP) ## run the whole pipeline on this machine, with an embedded broker
	$(BIN)/tocsin demo $(ARGS)

test: $(STAMP) ## run all tests, two files at a time; TOCSIN_TEST_BROKER=auto|docker|java|embedded|host:port picks the broker
	$(BIN)/pytest -m "not soak" -n 2 --dist loadfile $(ARGS)

# Needs kubectl, helm and a cluster whose nodes have the images already. TOCSIN_TEST_KUBERNETES is the context to use:
# it has no default, because namespaces are made and deleted there.
test-kubernetes: $(STAMP) ## try chart and image on a Kubernetes; TOCSIN_TEST_KUBERNETES=context TOCSIN_TEST_IMAGE=name:tag
	@test -n "$(TOCSIN_TEST_KUBERNETES)" || { echo "TOCSIN_TEST_KUBERNETES: name the kubectl context to use" >&2; exit 1; }
	$(BIN)/pytest -v -s -x tests/kubernetes $(ARGS)

soak: $(STAMP) ## run the long form of the long tests
	$(BIN)/pytest -m soak $(ARGS)

bench: $(STAMP) ## compare with the least that the work can cost, on a Kafka of its own; ARGS=--quick is short
	$(BIN)/python -m benchmarks $(ARGS)

profile: $(STAMP) ## say where the matcher's microseconds go
	$(BIN)/python -m benchmarks.steps $(ARGS)

lint: $(STAMP) ## check style, types and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: ## resolve the dependencies of pyproject.toml anew, into the four lock files
	$(PYTHON) -m venv --clear .tocsin/lock && .tocsin/lock/bin/pip install -q uv
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --extra demo --extra msk --extra otel --group dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) pyproject.toml --extra otel -c requirements-dev.lock -o requirements-otel.lock
	$(LOCK) --group build -c requirements-dev.lock -o requirements-build.lock

# What the image installs from requirements.lock, looked at where it is installed: the licences come from there.
sbom: $(STAMP) ## list what is installed with Tocsin, with versions and licences, in build/tocsin.cdx.json (CycloneDX)
	rm -rf .tocsin/sbom && mkdir -p build && $(BIN)/python -m venv --without-pip .tocsin/sbom
	$(BIN)/pip --python .tocsin/sbom/bin/python install -q --no-compile --require-hashes -r requirements.lock
	sed "s/^dynamic = .*/version = \"$$($(BIN)/python -c 'import processor; print(processor.__version__)')\"/" \
	  pyproject.toml > .tocsin/sbom/pyproject.toml
	$(BIN)/cyclonedx-py environment --pyproject .tocsin/sbom/pyproject.toml --output-reproducible \
	  -o build/tocsin.cdx.json .tocsin/sbom/bin/python

clean: ## remove the environment, the caches and the test broker's jars
	rm -rf $(VENV) .tocsin build dist tests/broker/libs .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache
	find processor tests -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed (make PYTHON=...)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
