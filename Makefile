# Every target sets up what it needs. Only Python 3.11 or later and make have to be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)/tools/bin
ARGS ?=

# The light set serves; the full set also tests and checks. Both are locked with hashes.
LIGHT := $(VENV)/.installed-serve
FULL := $(VENV)/.installed-dev

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PORT=9000 chooses the port of serve, ARGS='...' adds options to serve, test and bench,"
	@echo "  PYTHON=python3.12 chooses the interpreter of a new .venv."

.PHONY: serve
serve: $(LIGHT) ## Serve the mock until Ctrl-C
	@$(BIN)/mock-central serve $(if $(PORT),--port $(PORT)) $(ARGS)

.PHONY: test
test: $(FULL) ## Run the tests (of many cases of a kind a sample, and none that takes long)
	$(BIN)/pytest -n auto -m "not heavy and not slow and not timing" $(ARGS)

.PHONY: test-heavy
test-heavy: $(FULL) ## Run the tests that take more than half a second of CPU
	$(BIN)/pytest -n auto -m "heavy and not slow and not timing" $(ARGS)

.PHONY: test-fast
test-fast: $(FULL) ## Run the tests that start no server (a minute of CPU)
	$(BIN)/pytest --hypothesis-profile=fast -m "not served and not heavy and not slow and not timing" $(ARGS)

# A machine may pause while a test measures time.
failed-again = $(BIN)/pytest $(1) $(ARGS) || $(BIN)/pytest $(1) --last-failed $(ARGS)

.PHONY: test-timing
test-timing: $(FULL) ## Run the tests that measure time, one after the other; those that fail, once more
	$(call failed-again,-m "timing and not slow")

.PHONY: test-all
test-all: $(FULL) ## Run every test (a quarter of an hour and more)
	$(BIN)/pytest -n auto -m "not timing" $(ARGS)
	$(call failed-again,-m timing)

.PHONY: check
check: $(FULL) $(VENV)/.installed-tools ## Lint, check types, import rules, YAML, the Dockerfile, workflows and prose
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict openapi.yaml .yamllint .github action.yml compose.yaml deploy docs mkdocs.yml
	$(BIN)/hadolint Dockerfile
	$(TOOLS)/zizmor --offline --quiet .github action.yml
	$(TOOLS)/python docs/prose.py

.PHONY: format
format: $(FULL) ## Format the code and rewrite the generated tables of the docs
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python docs/generate.py

.PHONY: docs
docs: $(VENV)/.installed-docs ## Build the site into build/site; links that lead nowhere are errors
	$(BIN)/python docs/site.py
	rm -rf build/site
	$(VENV)/docs/bin/zensical build --clean --strict

.PHONY: pictures
pictures: $(FULL) ## Make the pictures of the docs from the real thing (needs Chromium and npm; ARGS=charts for some)
	mkdir -p build/pictures && cp docs/pictures/package*.json build/pictures
	cd build/pictures && npm ci --ignore-scripts --no-audit --no-fund
	PYTHONPATH=. $(BIN)/python docs/pictures/make.py $(ARGS)

.PHONY: fixtures
fixtures: $(FULL) ## Make the shipped fixtures again
	rm -rf build/fixtures
	$(BIN)/central-contract fixtures --all -o build/fixtures
	cp fixtures/README.md build/fixtures
	rm -rf fixtures && mv build/fixtures fixtures

.PHONY: test-forms
test-forms: $(FULL) ## Read the forms of the fixtures with their tools, and drive generated clients (minutes)
	$(BIN)/pytest contract_tests/meta_tests/test_fixture_formats.py mock_server/tests/test_generated_clients.py $(ARGS)

.PHONY: bench
bench: $(FULL) ## Measure the mock beside other servers (ARGS=--write rewrites the page; minutes)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: differential
differential: $(FULL) ## Print where the mock and the Central at URL=… answer differently (minutes)
	$(BIN)/python -m contract_tests.differential $(URL) $(ARGS)

.PHONY: bench-guard
bench-guard: $(FULL) ## Fail if the mock became much slower beside a bare Flask app, or a create takes more calls
	$(BIN)/python -m benchmarks.calls --most 60
	$(BIN)/python -m benchmarks --guard

.PHONY: fuzz
fuzz: $(VENV)/.installed-fuzz ## Fuzz the decoder, guided by coverage (Linux on x86-64; ARGS='--inputs 1000000')
	$(BIN)/python -m mock_server.tests.fuzz_decoder $(ARGS)

.PHONY: mutation
mutation: $(VENV)/.installed-mutation ## Count the mutants that the tests kill (half an hour and more; ARGS='--workers 2')
	$(BIN)/python -m benchmarks.mutation $(ARGS)

.PHONY: lock
lock: $(VENV)/.installed-tools ## Lock the requirements again (ARGS=--upgrade for newer releases)
	$(LOCK) pyproject.toml --extra contract --extra redis --extra metrics --group dev -o requirements/dev.txt $(ARGS)
	printf 'editables\nhatchling\n' | $(LOCK) pyproject.toml - --extra redis --extra metrics -c requirements/dev.txt -o requirements/serve.txt $(ARGS)
	$(LOCK) requirements/tools.in -o requirements/tools.txt $(ARGS)
	printf 'editables\nhatchling\n' | $(LOCK) pyproject.toml - --extra contract -c requirements/dev.txt -o requirements/contract.txt $(ARGS)
	@# The release of atheris after this one has no wheel for Python 3.11.
	printf 'atheris==3.0.0\ncoverage\n' | $(LOCK) - -o requirements/fuzz.txt $(ARGS)
	printf 'zensical\n' | $(LOCK) - -o requirements/docs.txt $(ARGS)
	printf 'mutmut>=3.8\n' | $(LOCK) - -c requirements/dev.txt -o requirements/mutation.txt $(ARGS)

LOCK := $(TOOLS)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.PHONY: dist
dist: $(FULL) ## Build the wheel and the source distribution into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

.PHONY: sbom
sbom: $(VENV)/.installed-tools ## List what serving needs, for supply-chain tools (sbom.cdx.json, CycloneDX)
	$(TOOLS)/cyclonedx-py requirements requirements/serve.txt \
		--pyproject pyproject.toml --output-reproducible --output-file sbom.cdx.json

.PHONY: clean
clean: ## Remove the virtual environment and everything that tools left
	rm -rf $(VENV) .cache build dist sbom.cdx.json *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		.hypothesis .schemathesis mutants
	find . \( -name __pycache__ -o -name node_modules \) -type d -prune -exec rm -rf {} +

# -- set-up: once, and again when the requirements change ------------------------------------------

INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
INSTALL_SELF = $(INSTALL) --no-deps --no-build-isolation -e .

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mock-central needs Python 3.11 or later; choose one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(LIGHT): requirements/serve.txt pyproject.toml | $(BIN)/python
	@echo "Installing what serving needs into $(VENV) ..."
	@$(INSTALL) --require-hashes -r requirements/serve.txt
	@$(INSTALL_SELF)
	@touch $@

# The full set holds the light one at the same versions.
$(FULL): requirements/dev.txt requirements/serve.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the tests and checks need into $(VENV) ..."
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@$(INSTALL_SELF)
	@touch $(LIGHT) $@

# Beside the full set: there are no wheels for most platforms.
$(VENV)/.installed-fuzz: requirements/fuzz.txt $(FULL)
	@$(INSTALL) --require-hashes -r requirements/fuzz.txt
	@touch $@

$(VENV)/.installed-mutation: requirements/mutation.txt $(FULL)
	@$(INSTALL) --require-hashes -r requirements/mutation.txt
	@touch $@

$(VENV)/.installed-docs: requirements/docs.txt | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/docs
	@$(VENV)/docs/bin/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes -r requirements/docs.txt
	@touch $@

# Apart from the rest, whose releases they would change.
$(VENV)/.installed-tools: requirements/tools.txt | $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/tools
	@$(TOOLS)/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes -r requirements/tools.txt
	@touch $@

.PHONY: tools
tools: $(VENV)/.installed-tools ## Install what locks and audits the requirements into .venv/tools
