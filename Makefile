# Everything starts here: `make demo` shows holdfast at work, `make test` proves it. Both set up what they need in
# .venv, from locks with hashes, and need nothing but make and a python3 with venv and pip.

PYTHON ?= python3
PY     := .venv/bin/python
SEED   ?= 1
RUNS   ?= 1000000
ARGS   ?=
UPGRADE ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Targets run their own workers; two targets at once would only fight over .venv.
.NOTPARALLEL:

# Where packages come from is the machine's business, so its PIP_ and UV_ settings for that reach the installers. What
# is installed, and where, is ours: every other such setting (PIP_USER, PIP_TARGET, UV_SYSTEM_PYTHON, ...) stops here.
SOURCES := \
	PIP_CACHE_DIR PIP_CERT PIP_CLIENT_CERT PIP_CONFIG_FILE PIP_DEFAULT_TIMEOUT PIP_DISABLE_PIP_VERSION_CHECK \
	PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_INDEX_URL PIP_KEYRING_PROVIDER PIP_NO_CACHE_DIR PIP_NO_INDEX PIP_PROXY \
	PIP_RETRIES PIP_TIMEOUT PIP_TRUSTED_HOST PIP_USE_FEATURE \
	UV_CACHE_DIR UV_CONCURRENT% UV_CONFIG_FILE UV_CREDENTIALS_DIR UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS \
	UV_HTTP% UV_INDEX% UV_INSECURE_HOST UV_KEYRING_PROVIDER UV_LINK_MODE UV_NATIVE_TLS UV_NO_CACHE UV_NO_INDEX \
	UV_OFFLINE UV_SYSTEM_CERTS
unexport PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE VIRTUAL_ENV CONDA_PREFIX \
	$(filter-out $(SOURCES),$(filter PIP_% UV_%,$(.VARIABLES)))
# uv trusts a list of its own unless told; pip behind the same proxy trusts the machine's.
export UV_SYSTEM_CERTS ?= true

## the two that matter

.PHONY: demo
demo: .venv/.core  ## onboard new hires while services fail and the worker is killed; nothing is done twice
	@.venv/bin/holdfast lab onboarding

.PHONY: test
test: lint  ## lint, types and all tests; ARGS="-k name" is passed to pytest
	@$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

## while working

.PHONY: lint
lint: .venv/.dev  ## ruff and mypy
	@$(PY) -m ruff check -q
	@$(PY) -m ruff format -q --check
	@$(PY) -m mypy

.PHONY: format
format: .venv/.dev  ## mend what ruff can mend
	@$(PY) -m ruff check -q --fix --exit-zero
	@$(PY) -m ruff format

.PHONY: coverage
coverage: .venv/.dev  ## which lines and branches the tests reach
	@$(PY) -m coverage erase
	@$(PY) -m coverage run -m pytest -n 2 --dist loadgroup $(ARGS)
	@$(PY) -m coverage combine -q
	@$(PY) -m coverage report

.PHONY: soak
soak: .venv/.dev  ## simulate crashes for hours: SEED=1 RUNS=1000000; goes on where it stopped
	@mkdir -p build
	@$(PY) -m holdfast.testing.simulate --soak --seed $(SEED) --runs $(RUNS) --resume build/soak.json

.PHONY: exhaustive
exhaustive: .venv/.dev  ## as test, with all seeds, all broken rules and all boundaries of the crash walks; half an hour
	@HOLDFAST_TESTS=all $(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

.PHONY: bench
bench: .venv/.dev  ## measure throughput and latency on this machine
	@$(PY) -m bench.run $(ARGS)

.PHONY: docs
docs: .venv/.docs  ## build the documentation into site/
	@$(PY) -m zensical build --clean --strict

.PHONY: lock
lock: .venv/.uv  ## write the locks anew, keeping pins that still fit; UPGRADE=--upgrade moves them
	@cp requirements/uv.txt .venv/uv.txt
	@$(COMPILE) requirements/uv.in -o .venv/uv.txt
	@cmp -s .venv/uv.txt requirements/uv.txt || cp .venv/uv.txt requirements/uv.txt  # a new one makes .venv anew
	@$(COMPILE) pyproject.toml requirements/core.in -o requirements/core.txt
	@$(COMPILE) pyproject.toml requirements/core.in requirements/dev.in -o requirements/dev.txt
	@$(COMPILE) requirements/docs.in -o requirements/docs.txt

.PHONY: clean
clean:  ## remove the environment and all that was built
	@rm -rf .venv build dist site .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis htmlcov .coverage .coverage.*
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.PHONY: help
help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

## the environment: a stamp for each set, written when the set is complete

UV      = .venv/bin/uv
COMPILE = $(UV) pip compile -q --python $(PY) --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate $(UPGRADE)

# $(call install,LOCKS): exactly these packages, and holdfast itself, editable. uv does not read pip's configuration, so
# where only pip can reach an index, pip does the same work, slower.
define install
	@$(UV) pip sync -q --python $(PY) --require-hashes requirements/uv.txt $(1) \
		|| { echo "uv cannot install the locks here; trying with pip" >&2; \
		     $(PY) -m pip install -q --no-input --no-user --require-hashes $(addprefix -r ,$(1)); }
	@$(UV) pip install -q --no-cache --python $(PY) --no-deps --no-index --no-build-isolation --editable .
	@touch $@
endef

python_is_new = $(shell $(PYTHON) -c 'import sys; print("yes" if sys.version_info >= (3, 11) else "no")' 2>/dev/null)

.venv/.uv: requirements/uv.txt
	@$(if $(filter yes,$(python_is_new)),,$(error holdfast needs Python 3.11 or newer, and $(PYTHON) is not; \
		name one that is: make PYTHON=python3.12 $(MAKECMDGOALS)))
	@echo "setting up .venv, once" >&2
	@$(PYTHON) -m venv --clear .venv
	@$(PY) -m pip install -q --no-input --no-user --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.core: .venv/.uv requirements/core.txt pyproject.toml
	$(call install,requirements/core.txt)

# Rests on .core, which a later `make demo` would otherwise install over it.
.venv/.dev: .venv/.core requirements/dev.txt
	$(call install,requirements/dev.txt)

.venv/.docs: .venv/.dev requirements/docs.txt
	$(call install,requirements/dev.txt requirements/docs.txt)
