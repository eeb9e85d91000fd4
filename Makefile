# Weir's make targets. `make help` lists them; each needs only Python, Node and make.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin
UV := $(BIN)/uv
LOCKS := deploy/locks
MEMBERS := libs/events libs/servicekit services/proxy services/metrics_api services/dashboard deploy/local
PACKAGES := weir weir-events weir-servicekit weir-proxy weir-metrics-api weir-dashboard
space := $(subst ,, )
SPA := frontend/dist/index.html
GRAPHIQL := services/metrics_api/src/weir/metrics_api/pages/graphiql/graphiql.js
# directories count too: their time changes when a file in them goes
SPA_SOURCES := $(shell find frontend/src frontend/public frontend/build -not -name '*.test.*' 2>/dev/null) \
	$(wildcard frontend/index.html frontend/*.config.* frontend/tsconfig.json frontend/package.json)
GRAPHIQL_SOURCES := $(shell find tools/graphiql/src 2>/dev/null) tools/graphiql/build.js tools/graphiql/package.json
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	$(if $(UPGRADE),--upgrade) $(addprefix --no-emit-package ,$(PACKAGES))

# docker compose, or another that reads the same file
COMPOSE ?= docker compose
PROXIES ?= 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help setup run up down test test-faults soak fuzz check audit bench bench-siege bench-store lock clean python node containers chromium

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.members $(SPA) $(GRAPHIQL)  ## create .venv with the weir command and build the pages

run: setup  ## run all of Weir on this machine
	@$(BIN)/weir run

test: setup chromium tools/codegen/node_modules/.installed  ## everything: checks, the frontend's tests, unit, contract, integration and browser tests
	@$(MAKE) check
	cd frontend && npm test
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -o cache_dir=.pytest_cache/whole \
		--cache-clear || $(BIN)/python -m tests.again $$? .pytest_cache/whole

test-faults: setup  ## kill everything at random points and at each thing it says; ARGS='--rounds 2 --kills 20 --requests 9000 --stops 0' for a short look
	@$(BIN)/python -m tests.fault $(ARGS)

soak: setup  ## 20 minutes of mixed load, faults and hostile clients; does anything grow? ARGS='--minutes 120 --rate 200'
	@$(BIN)/python -m tests.soak $(ARGS)

fuzz: .venv/.members  ## whatever bytes come, for a minute each part; ARGS='--part requests --seconds 600'
	@$(BIN)/python -m tests.fuzz $(ARGS)

check: setup  ## lint, formatting, types, import contracts and each member's own dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	@for member in $(MEMBERS); do \
		said=$$(cd $$member && $(CURDIR)/$(BIN)/deptry src --no-ansi --known-first-party weir \
			--per-rule-ignores 'DEP001=compression,DEP002=$(subst $(space),|,$(PACKAGES))' 2>&1) \
			|| { echo "$$member:" "$$said" >&2; exit 1; }; done
	cd frontend && npm run check

lock: .venv/.members  ## resolve the dependencies again; UPGRADE=1 takes newer versions
	echo uv | $(COMPILE) - -o $(LOCKS)/uv.txt >/dev/null
	echo hatchling | $(COMPILE) - -o $(LOCKS)/build.txt >/dev/null
	$(COMPILE) services/proxy/pyproject.toml -o $(LOCKS)/proxy.txt >/dev/null
	$(COMPILE) services/metrics_api/pyproject.toml -o $(LOCKS)/metrics-api.txt >/dev/null
	$(COMPILE) services/dashboard/pyproject.toml -o $(LOCKS)/dashboard.txt >/dev/null
	$(COMPILE) --group pyproject.toml:dev deploy/local/pyproject.toml -o $(LOCKS)/dev.txt >/dev/null
	$(COMPILE) --group pyproject.toml:clients -o $(LOCKS)/clients.txt >/dev/null
	$(COMPILE) --group pyproject.toml:clients-openai-1 -o $(LOCKS)/clients-openai-1.txt >/dev/null
	$(COMPILE) --group pyproject.toml:llama-cpp -o $(LOCKS)/llama-cpp.txt >/dev/null
	$(COMPILE) --group pyproject.toml:audit -o $(LOCKS)/audit.txt >/dev/null
	cd frontend && $(if $(UPGRADE),npm update,npm install) --package-lock-only --ignore-scripts
	cd tools/codegen && npm install --package-lock-only --ignore-scripts
	cd tools/graphiql && $(if $(UPGRADE),npm update,npm install) --package-lock-only --ignore-scripts

up: containers  ## run all of Weir in containers; PROXIES=4 for four proxies
	@$(COMPOSE) up --build --detach --wait --scale proxy=$(PROXIES)
	@echo "Base URL for clients: http://$$($(COMPOSE) port lb 8001 | sed s/0.0.0.0/127.0.0.1/)/v1"
	@echo "Dashboard:            http://$$($(COMPOSE) port dashboard 3000)"

down: containers  ## stop the containers; your data stay in their volumes
	@$(COMPOSE) --profile '*' down

bench: .venv/.members  ## what the proxy costs beside nginx and others; ARGS='--turns 1 --seconds 2' for a short look
	@$(BIN)/python -m tests.bench.proxy $(ARGS)

schema: .venv/.members tools/codegen/node_modules/.installed  ## write openapi.json, schema.graphql and the SPA's types anew
	$(BIN)/python services/metrics_api/schema/generate.py
	cd tools/codegen && npm run --silent generate

bench-siege: .venv/.members  ## what a thousand hostile clients cost the others; ARGS='--turns 1 --seconds 3'
	@$(BIN)/python -m tests.bench.siege $(ARGS)

bench-store: .venv/.members  ## how fast the stores take in and answer; ARGS='--requests 200000 --backlog 50000' for a short look
	@$(BIN)/python -m tests.bench.store $(ARGS)

audit: .venv/.members .venv-audit/.synced  ## dependencies: hashes, start-up files, known weaknesses, and an SBOM for each service
	@$(BIN)/python tools/audit/audit.py .venv-audit/bin dist/sbom

clean:  ## remove what was built and installed; your data stay
	rm -rf .venv .venv-clients .venv-bench .venv-audit frontend/node_modules tools/codegen/node_modules tools/graphiql/node_modules \
		frontend/dist $(dir $(GRAPHIQL)) .ruff_cache .pytest_cache .import_linter_cache

# What follows runs only when what it depends on has changed.

.venv/.members: .venv/.synced $(addsuffix /pyproject.toml,$(MEMBERS)) VERSION
	@echo 'Installing the weir command'
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

.venv/.synced: $(LOCKS)/uv.txt $(LOCKS)/dev.txt | $(UV)
	@echo 'Installing the Python dependencies'
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes $(LOCKS)/uv.txt $(LOCKS)/dev.txt
	@touch $@

$(UV): | python
	@echo 'Creating .venv'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCKS)/uv.txt

.venv-audit/.synced: $(LOCKS)/audit.txt | $(UV)
	@$(BIN)/python -m venv .venv-audit
	@$(UV) pip sync --quiet --python .venv-audit/bin/python --require-hashes $(LOCKS)/audit.txt
	@touch $@

$(SPA): frontend/node_modules/.installed $(SPA_SOURCES)
	@echo 'Building the dashboard'
	@cd frontend && npm run --silent build -- --logLevel warn
	@touch $@

frontend/node_modules/.installed: frontend/package-lock.json frontend/.npmrc | node
	@echo "Installing the dashboard's dependencies"
	@cd frontend && npm ci --ignore-scripts --loglevel=error --no-audit --no-fund
	@touch $@

$(GRAPHIQL): tools/graphiql/node_modules/.installed $(GRAPHIQL_SOURCES)
	@echo 'Building GraphiQL'
	@cd tools/graphiql && npm run --silent build

tools/graphiql/node_modules/.installed: tools/graphiql/package-lock.json tools/graphiql/.npmrc | node
	@echo 'Installing GraphiQL'
	@cd tools/graphiql && npm ci --ignore-scripts --loglevel=error --no-audit --no-fund
	@touch $@

tools/codegen/node_modules/.installed: tools/codegen/package-lock.json | node
	@cd tools/codegen && npm ci --ignore-scripts --loglevel=error --no-audit --no-fund
	@touch $@

python:
	@test -n "$(PYTHON)" || { echo 'make: Weir needs Python 3.11 or newer; install it (apt-get install' \
		'python3, brew install python) or say which: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo 'make: $(PYTHON) has no venv module;' \
		'install it: apt-get install python3-venv' >&2; exit 1; }

node:
	@command -v node >/dev/null && command -v npm >/dev/null || { echo 'make: building the dashboard needs' \
		'Node 20.19 or newer with npm; install it from nodejs.org (brew install node)' >&2; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' \
		|| { echo "make: building the dashboard needs Node 20.19 or newer, this is $$(node --version);" \
		'install a newer one from nodejs.org' >&2; exit 1; }

containers:
	@$(COMPOSE) version >/dev/null 2>&1 || { echo 'make: "$(COMPOSE)" does not run; install Docker with Compose' \
		'2.24 or newer, or say what you have: make up COMPOSE="podman compose"' >&2; exit 1; }

chromium: .venv/.members
	@.ci/chromium $(BIN)/playwright
