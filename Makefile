# Every target does its own set-up. Settings: LAPIDICOM_TEST_SIZE=small|large, AMQP_URL, PYTHON.
SHELL := /bin/bash
PY := .venv/bin/python
export UV_PYTHON_DOWNLOADS := never
# Tests start thousands of Python processes; without compiled modules each start takes seconds longer.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/.cache/pycache
# One broker of yours is one place for queues; of its own, each worker starts one. Tests wait a lot: two workers for
# each core. The unit tests, which are the last to be collected, are also the last to run: they leave no core idle.
WORKERS := $(if $(AMQP_URL),,-n 4 --dist loadfile --no-loadscope-reorder)
CORES := $(if $(AMQP_URL),,-n 2 --dist loadfile)

.PHONY: help setup demo test contract lint format settings-docs chart-docs faults faults-report soak bench plots images compose-demo compose-faults clean
.DEFAULT_GOAL := help

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

setup: ## Install what demo and tests need: uv, the locked environment, RabbitMQ, dcmtk
	@scripts/setup test

demo: ## Send DICOM through the whole system (DATA=dir FILES_ROOT=dir CALLING_AET=name CUBE=6 KEEP=1)
	@scripts/setup demo
	@$(PY) -m demo

test: ## All tests: real RabbitMQ, real dcmtk; under seven minutes on two cores
	@scripts/setup test
	@LAPIDICOM_TEST_SIZE=$${LAPIDICOM_TEST_SIZE:-small} $(PY) -m pytest $(WORKERS) $(ARGS)

contract: ## CUBE's contract, tried on a real one (CHRIS_URL= CHRIS_USERNAME= CHRIS_PASSWORD= FILES_ROOT=dir)
	@scripts/setup lint
	@LAPIDICOM_CONTRACT=real $(PY) -m pytest tests/contract $(ARGS)

lint: ## ruff, mypy, import contracts, Dockerfiles, pages made from settings and values
	@scripts/setup lint
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy -p lapidicom.common -p lapidicom.receiver -p lapidicom.registrar -p lapidicom.cli
	$(PY) -m mypy -p tests.support -p demo -p benchmarks
	.venv/bin/lint-imports
	.venv/bin/hadolint services/*/Dockerfile deploy/compose/*/Dockerfile
	$(PY) scripts/settings_table.py --check docs/settings.md
	$(PY) scripts/chart_readme.py --check

format: ## Format the code
	@scripts/setup lint
	$(PY) -m ruff format
	$(PY) -m ruff check --fix

settings-docs: ## Write docs/settings.md from the settings' models
	@scripts/setup lint
	$(PY) scripts/settings_table.py docs/settings.md

chart-docs: ## Write the Helm chart's README from the comments in its values
	@scripts/setup lint
	$(PY) scripts/chart_readme.py

faults: ## The whole fault matrix on each RabbitMQ at hand; under forty minutes; writes .faults/report.md
	@scripts/setup test
	@scripts/faults $(CORES) $(ARGS)

faults-report: ## Put the report of the last `make faults` into the docs
	cp .faults/report.md docs/faults-report.md

soak: ## Every test at its largest size
	@scripts/setup test
	@LAPIDICOM_TEST_SIZE=large $(PY) -m pytest $(CORES) $(ARGS)

bench: ## Speed beside the peers (BENCH=receive|path|registrar|memory|operators; QUICK=1: 50 s); writes .bench/results.json
	@scripts/setup test
	@$(PY) -m benchmarks.$(or $(BENCH),receive)

plots: ## Draw docs/plots/ from .bench/results.json
	@scripts/setup lint
	@.uv/bin/uv run --isolated --locked --only-group plots python -m benchmarks.plots

images: ## Build the images with Docker (TAG=latest, BUILD="arguments of docker build")
	@deploy/images/build $(BUILD)

compose-demo: ## Start docker-compose.yml, push a study from Orthanc through it, prove its registration
	@scripts/setup lint
	@$(PY) -m demo.compose

compose-faults: ## The same while each container is killed in turn, with RabbitMQ 3 and 4 (RABBITMQ="image ...")
	@scripts/setup lint
	@$(PY) -m demo.compose.faults

clean: ## Remove environments and caches
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache .faults dist
