# `make demo` and `make test` set up what they need and run; nothing has to be done before.
# Another Python: `make test PYTHON=python3.12` (it gets an environment of its own beside .venv).

PYTHON ?= python3
VENV   := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOCKED := $(PIP) install --quiet --require-hashes --only-binary :all:
OURS   := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
WARM   := $(BIN)/python -m compileall -q reconciler

# Debian packages that some tests need; without them those tests are skipped, by name.
DEBIAN_PACKAGES := curl postgresql mariadb-server systemd slapd openssl gcc libc6-dev python3-dev libldap-dev libsasl2-dev \
	samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind python3-samba \
	$(if $(shell command -v npm),,nodejs npm)

# Twice the cores of a small machine: half of the time a test waits for a server or for a process.
WORKERS ?= 4

.DELETE_ON_ERROR:
.PHONY: audit audit-where-possible help demo ldap scimmy test lint types layers bench soak mutants format packages lock

help:
	@echo "make demo                  set up, then show a directory and an app being kept equal"
	@echo "make test [TESTS=tests/…]  set up, then check everything, or just run those tests"
	@echo "make ldap                  add what reads a directory (needs a compiler and libldap)"
	@echo "make scimmy                add a SCIM server from npm that the tests speak to (make test does it where npm is)"
	@echo "make bench                 measure; see docs/performance.md"
	@echo "make soak [SECONDS=3600]   kill at every place, then many cycles and new seeds; those that fail are kept; see docs/correctness.md"
	@echo "make mutants [ALL=1]       make deliberate bugs, show that tests see them; see docs/correctness.md"
	@echo "make audit                 ask for known vulnerabilities of what the locks name (make test does it where it can)"
	@echo "make format                bring the code into shape"
	@echo "make packages              the Debian packages for the tests that need some (as root)"
	@echo "make lock                  renew requirements/*.txt from pyproject.toml"

demo: $(VENV)/.for-demo
	$(BIN)/reconciler demo

ifdef TESTS
test: $(VENV)/.for-development
else
test: lint types layers audit-where-possible
endif
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory scimmy VENV=$(VENV) || echo "Without scimmy its tests are skipped." >&2
	$(BIN)/python -m pytest $(if $(TESTS),,-n $(WORKERS)) $(if $(NO_SKIPS),-p tests.no_skips) $(PYTEST_OPTIONS) $(TESTS)

lint: $(VENV)/.for-development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.for-development
	$(BIN)/mypy

layers: $(VENV)/.for-development
	$(BIN)/lint-imports

# Asks a database on the network about known faults of what the locks name; pip-audit is not part of them.
AUDITED_BY := api.osv.dev

audit: $(VENV)/.for-audit
	PYTHONPATH=$(VENV)/audit $(BIN)/python -m pip_audit --vulnerability-service osv --require-hashes --disable-pip -r requirements/container.txt

$(VENV)/.for-audit: $(VENV)/.for-development
	@$(PIP) install --quiet --upgrade --target $(VENV)/audit pip-audit
	@touch $@

audit-where-possible: $(VENV)/.for-development
	@if $(BIN)/python -c 'import socket; socket.create_connection(("$(AUDITED_BY)", 443), 3)' 2>/dev/null; \
		then $(MAKE) --no-print-directory audit VENV=$(VENV); \
		else echo "$(AUDITED_BY) is out of reach: nobody is asked about vulnerabilities of the dependencies." >&2; fi

bench: $(VENV)/.for-development
	$(BIN)/python -m benchmarks $(BENCH_OPTIONS)

# A kill at each place where one can be (some minutes; CRASHES='"a busy cycle" migrations' for some of it), 10,000 cycles
# of twenty jobs (five minutes), then new seeds on each core, for an hour; whoever fails is written into tests/sim/seeds.txt and runs in `make test` from then on.
SECONDS ?= 3600

soak: $(VENV)/.for-development
	$(BIN)/python -m tests.crash.soak $(CRASHES)
	SIM_CYCLES=10000 $(BIN)/python -m pytest -q -s tests/sim/test_load.py -k nothing_grows
	$(BIN)/python -m tests.sim.soak $(SECONDS)

# Bugs written by hand, then a sample of those that mutmut makes: SAMPLE=600 for more, SEED=7 for the same again.
MUTANTS_OPTIONS ?= $(if $(ALL),--all) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

mutants: $(VENV)/.for-mutants
	$(BIN)/python -m tests.mutants $(MUTANTS_OPTIONS)

format: $(VENV)/.for-development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# --- setting up: a stamp is left only when everything before it went well ------------------------------------------

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Setting up $(VENV): this takes a minute the first time."
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Making $(VENV) failed; on Debian: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.for-demo: requirements/demo.txt requirements/build.txt pyproject.toml $(VENV)/.made
	@$(LOCKED) -r requirements/demo.txt -r requirements/build.txt
	@$(OURS)
	@$(WARM)
	@touch $@

$(VENV)/.for-development: requirements/dev.txt pyproject.toml $(VENV)/.made
	@$(LOCKED) -r requirements/dev.txt
	@$(OURS)
	@$(WARM)
	@touch $@ $(VENV)/.for-demo

# There is no wheel of python-ldap: it is compiled here, from the file that the lock names.
ldap: $(VENV)/.for-ldap

$(VENV)/.for-ldap: requirements/ldap.txt requirements/ldap-build.txt $(VENV)/.for-development
	@$(LOCKED) -r requirements/ldap-build.txt
	@$(LOCKED) --no-binary python-ldap --no-build-isolation -r requirements/ldap.txt
	@touch $@

$(VENV)/.for-mutants: requirements/mutants.txt $(VENV)/.for-development
	@$(LOCKED) -r requirements/mutants.txt
	@touch $@

# A SCIM server from npm, in the same environment; without npm its tests are skipped, by name.
SCIMMY := tests/servers/scimmy

scimmy: $(VENV)/scimmy/.made

$(VENV)/scimmy/.made: $(SCIMMY)/package.json $(SCIMMY)/package-lock.json $(VENV)/.made
	@mkdir -p $(@D)
	@cp $(SCIMMY)/package.json $(SCIMMY)/package-lock.json $(@D)
	@npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# --- for those who change the project --------------------------------------------------------------------------------

packages:
	@missing=""; \
	for package in $(DEBIAN_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q '^install ok installed$$' || missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then echo "Nothing to install: $(DEBIAN_PACKAGES) is there."; else \
		if [ "$$(id -u)" = 0 ]; then as=""; else as="sudo"; fi; \
		set -x; $$as apt-get update -q && $$as apt-get install -q -y --no-install-recommends $$missing; \
	fi

# dev.txt holds everything; the others are parts of it, so that one environment can take all of them.
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_OPTIONS)

lock: $(VENV)/.made
	@if [ -f requirements/lock.txt ]; then $(LOCKED) -r requirements/lock.txt; else $(PIP) install --quiet -r requirements/lock.in; fi
	$(COMPILE) pyproject.toml requirements/build.in --extra certificate --extra demo --extra fast --extra mariadb --extra postgresql --group dev --group build -o requirements/dev.txt
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/run.txt
	$(COMPILE) pyproject.toml --extra certificate --extra fast --extra mariadb --extra postgresql -c requirements/dev.txt -o requirements/container.txt
	$(COMPILE) pyproject.toml --extra demo -c requirements/dev.txt -o requirements/demo.txt
	$(COMPILE) pyproject.toml --extra ldap -c requirements/dev.txt -o requirements/ldap.txt
	$(COMPILE) requirements/ldap-build.in -c requirements/dev.txt -o requirements/ldap-build.txt
	$(COMPILE) requirements/mutants.in -c requirements/dev.txt -o requirements/mutants.txt
	$(COMPILE) requirements/build.in --group build -c requirements/dev.txt -o requirements/build.txt
	$(COMPILE) requirements/lock.in -o requirements/lock.txt
