# The same few commands for people and for CI. Each sets up .venv first if it is missing or out of date:
# from the lock files, with uv when it is on PATH, else with venv and pip (scripts/setup.sh). Set-up talks on
# stderr and leaves standard input alone, so that `printf 'hi\n' | make chat` prints the reply and nothing else.

ARGS ?=
SETUP := scripts/setup.sh

.PHONY: help chat serve test test-all coverage lint docs bench real nightly mutants sbom lock clean

help: ## list the targets
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

chat: .venv/.core ## talk with an agent; ARGS="--window 4096" passes options
	@.venv/bin/pagefault chat $(ARGS)

serve: .venv/.core .venv/.server ## serve agents over HTTP from an empty home, with the offline model; ARGS="--port 9000"
	@unset PAGEFAULT_DATABASE_URL; home=$$(mktemp -d) && export PAGEFAULT_HOME="$$home" PAGEFAULT_MODEL=offline && \
	.venv/bin/pagefault agent create ana >/dev/null && echo "The agent ana is in the home $$home." && \
	exec .venv/bin/pagefault serve $(ARGS)

test: .venv/.dev ## the quick tests, for the inner loop; ARGS="-k queue" passes options
	.venv/bin/python -m pytest -n auto -m "not slow" --hypothesis-profile quick $(ARGS)

test-all: .venv/.dev ## all tests, with PostgreSQL, state machines and crashes
	.venv/bin/python -m pytest -n auto $(ARGS)

coverage: .venv/.dev ## all tests, and which lines and branches of src they ran
	.venv/bin/python -m pytest -n auto --cov=src --cov-branch --cov-report=term:skip-covered $(ARGS)

lint: .venv/.dev ## ruff and pyright
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/pyright

docs: .venv/.docs ## the documentation as a site in build/site; broken links are errors
	@.venv/bin/python scripts/build_docs.py

bench: .venv/.dev ## run the benchmarks in their quick form
	@.venv/bin/python benchmarks/run_all.py $(ARGS)

real: .venv/.dev ## talk to a real llama.cpp server with a small model (300 MB); ARGS="--data FOLDER"
	@.venv/bin/python benchmarks/real_server.py $(ARGS)

nightly: .venv/.dev ## property tests with many new examples: 10,000 steps of the agent on each store
	.venv/bin/python -m pytest -n auto --durations=5 -m hypothesis --hypothesis-profile nightly $(ARGS)

mutants: .venv/.dev ## faults put in on purpose, each of which must turn a test red
	@.venv/bin/python scripts/mutants.py

sbom: .venv/.core .venv/.server ## the bill of materials of the image, CycloneDX, in build/sbom.json
	@.venv/bin/python scripts/sbom.py

lock: ## renew the lock files (needs uv); ARGS="--upgrade" moves every pin
	@scripts/lock.sh $(ARGS)

clean: ## remove what these targets made, .venv included
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps live inside .venv: removing it removes them. Several, because the tools for development (pyright
# brings node) are three times the size of what the chat needs.
.venv/.core: requirements.lock pyproject.toml $(SETUP)
	@$(SETUP) core >&2 </dev/null

.venv/.dev: requirements-dev.lock .venv/.core
	@$(SETUP) dev >&2 </dev/null

.venv/.server: requirements-server.lock .venv/.core
	@$(SETUP) server >&2 </dev/null

.venv/.docs: requirements-docs.lock .venv/.core
	@$(SETUP) docs >&2 </dev/null
