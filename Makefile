# `make run` and `make test` do all their set-up themselves; the second time they start at once.
# Options go to the command: `make test ARGS='-k versions -x'`, `make bench ONLY=trees`.

# Not called PYTHON: make would hand that to setup/venv in place of the Python that the caller asks for.
VENV_PYTHON := .venv/bin/python
JOBS ?= $(shell expr $$(nproc) + 1) # one more than cores: tests often wait for what they started
ARGS ?=
ONLY ?=
DEMO ?= ./demo
# This checkout's own, emptied by rm: pytest's clean-up recurses, which trees of 1,000 levels do not survive.
export PYTEST_DEBUG_TEMPROOT := /tmp/dropslot-tests-$(shell id -u)-$(shell pwd | sha256sum | cut -c1-8)
PYTEST = rm -rf $(PYTEST_DEBUG_TEMPROOT) && mkdir -m 700 $(PYTEST_DEBUG_TEMPROOT) && \
	$(VENV_PYTHON) -m pytest -n $(JOBS) --dist loadgroup

# What a collection PC loads.
ON_PCS = -p dropslot.core -p dropslot.sftp -p dropslot.sender -p dropslot.desktop -m dropslot.cli -m dropslot.cli.app \
	-m dropslot.cli.groups -p dropslot.cli.output

.DEFAULT_GOAL := help
.PHONY: help run quick test crash coverage lint format pictures bench package docs docs-serve setup pins clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: setup ## start dropslot with a demonstration in ./demo; Ctrl-C ends it
	@setup/packages run || true
	@exec $(VENV_PYTHON) scripts/demo $(DEMO) $(ARGS)

quick: lint ## while you work, about a minute: lint, and the tests that start no server
	@setup/packages test
	@$(PYTEST) -q tests/unit tests/contract/test_local.py tests/contract/test_bucket.py tests/contract/test_courier.py tests/contract/test_checks_bag.py $(ARGS)

test: setup ## every test except the crash suite, on SQLite and PostgreSQL
	@setup/packages test
	@$(PYTEST) -m "not crash" --ignore tests/crash --ignore tests/packaged $(ARGS)

crash: setup ## kill and freeze deliveries at every single step, and what else takes long
	@setup/packages test
	@export EVERY_STEP=1; $(PYTEST) -m "crash or deep" --ignore tests/packaged --ignore tests/desktop tests $(ARGS)

coverage: setup ## which lines the tests run, in every process; takes longer than `make test`
	@setup/packages test
	@rm -rf .cache/coverage && install -d -m 1777 .cache/coverage # other accounts, too, write what they ran
	@rm -rf $(PYTEST_DEBUG_TEMPROOT) && mkdir -m 700 $(PYTEST_DEBUG_TEMPROOT)
	-@$(VENV_PYTHON) -m coverage run -m pytest -n $(JOBS) --dist loadgroup -m "not crash" --ignore tests/crash --ignore tests/packaged $(ARGS)
	@$(VENV_PYTHON) -m coverage combine --quiet
	@$(VENV_PYTHON) -m coverage report --skip-covered --show-missing

lint: setup ## style, types, layers
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	@# What runs on Windows and macOS, too.
	$(VENV_PYTHON) -m mypy --platform win32 --cache-dir .mypy_cache/win32 $(ON_PCS)
	$(VENV_PYTHON) -m mypy --platform darwin --cache-dir .mypy_cache/darwin $(ON_PCS)
	.venv/bin/lint-imports

format: setup ## fix what ruff can fix by itself
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

pictures: setup ## take the pictures of the portal and of the window in docs/images anew
	@setup/packages test
	@export PICTURES=$(CURDIR)/docs/images; $(PYTEST) tests/portal/test_demonstration.py tests/desktop/test_pictures.py -k picture

bench: setup ## measure, with peers, the tables of docs/performance.md; minutes to an hour
	@setup/packages bench
	@$(VENV_PYTHON) -m pip install -qq --disable-pip-version-check --constraint setup/constraints.txt --editable '.[bench]'
	@$(VENV_PYTHON) -m benchmarks $(if $(ONLY),--only $(ONLY)) $(ARGS)

package: setup ## build the sender for this system, one file each: dist/dropslot and dist/dropslot-desktop; then try them
	@setup/packages test
	@setup/packages package
	@$(VENV_PYTHON) -m pip install -qq --disable-pip-version-check --constraint setup/constraints.txt 'pyinstaller>=6.11' 'pillow>=11'
	@$(VENV_PYTHON) scripts/package/icons.py build/icons
	@$(VENV_PYTHON) -m PyInstaller --noconfirm --log-level WARN --distpath dist --workpath build/package scripts/package/dropslot.spec
	@$(PYTEST) tests/packaged $(ARGS)

docs: setup ## build the documentation as pages in ./site
	@$(VENV_PYTHON) -m dropslot.config.reference > docs/configuration.md
	@$(VENV_PYTHON) -m mkdocs build --strict --quiet
	@echo 'The pages are in site/; open site/index.html.'

docs-serve: setup ## serve the documentation on a local port, rebuilt at each change
	@$(VENV_PYTHON) -m mkdocs serve

setup:
	@setup/venv

pins: ## write setup/constraints.txt with the newest tools; then run every test
	@setup/pins

clean: ## remove the environment, caches, pages and the demonstration
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache site demo build dist
