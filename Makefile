# Every target is a sentence in `make help`; CI and the pre-commit hooks call the same ones.

PYTHON ?= python3
BIN := .venv/bin
CODE := domain commands projections api workers twinlock tests $(wildcard examples docs benchmarks)
# Names neither registry nor path, so that the locks are the same wherever they are made.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header $(UPGRADE) pyproject.toml
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

# `make run` is content with less than the tests want; who has the tests' set has both.
RUN_READY := .venv/run-ready
DEV_READY := .venv/dev-ready
# Texts in other languages; git keeps the sources only.
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard api/translations/*/LC_MESSAGES/*.po))
HAS_JAVA := $(shell command -v java 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test audit-proof bench faults attacks check lint types imports format audit sbom lock secrets clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEV_READY) ## make .venv with everything for development, out of the locks

run: $(RUN_READY) $(CATALOGUES) $(if $(filter-out 0,$(KAFKA)),$(if $(HAS_JAVA),,.venv/kafka-ready)) ## run all of it; KAFKA=1 adds a broker, TWINLOCK_HTTP=host:port moves it
	@KAFKA=$(KAFKA) exec $(BIN)/python -m twinlock.dev.run

test: $(DEV_READY) $(CATALOGUES) ## run the tests, two files at a time; TESTS=tests/rules runs some
	@scripts/test-programs.sh
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(TESTS)

faults: $(DEV_READY) $(CATALOGUES) ## inject faults into real processes and judge what came of it; FAULTS="--times 10" more of them
	@scripts/test-programs.sh
	$(BIN)/python -m tests.faults $(FAULTS)

bench: $(DEV_READY) ## measure speed beside the limits of the machine, into docs/bench.md; BENCH="checks log" some parts
	$(BIN)/python -m benchmarks $(BENCH)

audit-proof: $(DEV_READY) ## alter an export of 100,000 events in every way and say what the verification finds
	$(BIN)/python -m benchmarks.audit_verify

attacks: $(DEV_READY) $(CATALOGUES) ## try every attack of docs/attacks.md, at length, and measure what time tells strangers
	@scripts/test-programs.sh
	ATTACKS_DEEP=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --quiet $$($(BIN)/python -m tests.attacks.table)
	$(BIN)/python -m tests.attacks.timing

check: lint types imports test ## all that CI checks: format, lint, types, import contracts, tests

lint: $(DEV_READY) ## check format and style
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)

types: $(DEV_READY) ## check the types
	$(BIN)/mypy

imports: $(DEV_READY) ## check that the arrows between the packages point one way
	$(BIN)/lint-imports

format: $(DEV_READY) ## format the code and mend what can be mended
	$(BIN)/ruff check --fix --exit-zero --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

audit: $(DEV_READY) ## look the locked libraries up among the known vulnerabilities; 2 where no source can be reached
	@scripts/audit.sh

sbom: $(DEV_READY) ## write build/sbom.json: what the locks pin, as CycloneDX
	$(BIN)/python -m twinlock.dev.sbom build/sbom.json

lock: $(DEV_READY) ## write the locks anew from pyproject.toml; UPGRADE=--upgrade takes newer versions
	$(COMPILE) -o requirements.lock
	$(COMPILE) --group run -c requirements.lock -o requirements-run.lock
	$(COMPILE) --group dev --all-extras -c requirements-run.lock -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header \
		--group kafka -o requirements-kafka.lock

secrets: ## write the .env that docker-compose.yml asks for
	@scripts/compose-secrets.sh

clean: ## remove what was built, and what `make run` keeps in var/; FORCE=1: also the key to a database of yours
	@FORCE=$(FORCE) $(PYTHON) -B -m twinlock.dev.clean
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

%.mo: %.po | $(RUN_READY)
	@$(BIN)/pybabel --quiet compile --input-file $< --output-file $@

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Twinlock needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

$(RUN_READY): requirements-run.lock | .venv/bin/python
	$(INSTALL) -r requirements-run.lock
	@ln -sfn ../../bin/twinlock $(BIN)/twinlock
	@touch $@

$(DEV_READY): requirements-dev.lock requirements-run.lock | .venv/bin/python
	$(INSTALL) -r requirements-dev.lock
	@ln -sfn ../../bin/twinlock $(BIN)/twinlock
	@touch $(RUN_READY) $@

.venv/kafka-ready: requirements-kafka.lock $(RUN_READY)
	$(INSTALL) -r requirements-kafka.lock
	@touch $@
