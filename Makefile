# The only entry points; CI calls these.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[simulator,uvloop,dev,interop,docs]' -c constraints.txt
export PYTHONDONTWRITEBYTECODE = 1

.PHONY: setup check test demo bench bench-quick test-interop test-faults test-soak test-seeds test-fuzz draw docs format

setup: $(STAMP)  ## Python packages, in .venv, with every extra

$(STAMP): pyproject.toml constraints.txt
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(INSTALL) || { echo "setup: pip failed; it is asked once more"; sleep 5; $(INSTALL); }
	touch $@

check: $(STAMP)  ## Style, types, import contracts, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(STAMP) check system-packages  ## Everything, with a smoke of the long ones, under 12 minutes on 2 cores
	$(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadgroup

.PHONY: system-packages
system-packages:  ## Real programs that judge us; NO_APT=1 forbids the install
	@sh tests/system-packages.sh

demo: $(STAMP)  ## Gateway and simulators up, notifications sent and explained; KEEP=1 stays up
	$(BIN)/wakeline demo $(if $(KEEP),--keep)

bench: $(STAMP) system-packages  ## Engine and whole pipeline beside h2load and four peers, as ratios within one run (25 minutes)
	$(BIN)/python -m bench

bench-quick: $(STAMP) system-packages  ## The same as a smoke (3 minutes, and once the installation of the peers)
	$(BIN)/python -m bench --quick

test-interop: $(STAMP) system-packages  ## Judged by others: each HTTP/2 server gets REQUESTS (100,000) requests
	$(BIN)/python -m pytest tests/interop

test-faults: $(STAMP)  ## kill -9 ten times under 20,000 notifications, full disks, wrong clocks
	$(BIN)/python -m pytest tests/faults --deselect tests/faults/test_soak.py

test-soak: $(STAMP)  ## SOAK minutes (10) of steady traffic in bad weather: nothing stuck, nothing lost, memory flat
	SOAK=$(or $(SOAK),10) $(BIN)/python -m pytest -s tests/faults/test_soak.py -m slow

test-seeds: $(STAMP)  ## The promises in lives from seeds: SEEDS=1000-3999, or the one that broke: SEEDS=1234
	SEEDS=$(or $(SEEDS),1000-3999) $(BIN)/python -m pytest -q -p no:randomly tests/stories/test_story_seeds.py

test-fuzz: $(STAMP)  ## Property tests FUZZ times as hard (50), elsewhere each time
	FUZZ=$(or $(FUZZ),50) $(BIN)/python -m pytest -m hypothesis --timeout 0

draw: $(STAMP)  ## Draw again the pages that are made from the code
	cd docs && ../$(BIN)/python draw.py

docs: $(STAMP)
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html
