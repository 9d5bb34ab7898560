# Needs Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

WEB := mobile/web
MODELS := mobile/build/models/index.json
# What the exported files are made of; the page's own sources are bundled anew each time.
MODEL_SOURCES := mobile/build_models.py $(wildcard pams_tf/export/*.py pams_tf/litert/*.py \
  pams_tf/models/*.py pams_tf/quantization/*.py pams_tf/quantization/functional/*.py \
  pams_tf/weights/*)

# The versions that CI runs; CONSTRAINTS= installs the newest ones instead.
CONSTRAINTS ?= constraints.txt
PIP := -m pip install --quiet $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
# Each worker wants a core and 3 GB.
WORKERS ?= 2

.PHONY: demo test test-slow test-minimum fuzz arm-test published-test lint constraints bench \
  tfmot-check tfmot-test docs docs-serve docs-test notebooks notebooks-test web web-serve web-test \
  dist clean help

help:
	@echo "make demo            fine-tune, export, run and compare, in 5 minutes"
	@echo "make test            the tests (under 10 minutes on 2 cores)"
	@echo "make lint            ruff and mypy"
	@echo "make test-slow       the tests that take minutes each"
	@echo "make test-minimum    the tests at the least and at the newest versions of what it needs"
	@echo "make fuzz            3,000 odd and damaged inputs, 10 minutes; FUZZ_FLAGS=..."
	@echo "make arm-test        the files under XNNPACK's Arm kernels, emulated (root on Debian)"
	@echo "make published-test  published figures on Set5 and B100; BENCHMARKS=DIR holds them"
	@echo "make bench           training step and inference: quantized against float"
	@echo "make tfmot-check     TensorFlow's own QAT beside ours, 300 steps each; TFMOT_FLAGS=..."
	@echo "make tfmot-test      the tests of that comparison"
	@echo "make docs            the documentation site, in build/site"
	@echo "make docs-serve      serve it on localhost:8001, and build it again at each change"
	@echo "make docs-test       test it: links, and every page in headless Chromium"
	@echo "make notebooks       run the notebooks and store their outputs"
	@echo "make notebooks-test  run them, and compare with what is stored"
	@echo "make web             the benchmark page for phones and its files, in $(WEB)/dist"
	@echo "make web-serve       serve that page on localhost:8000"
	@echo "make web-test        test it: unit tests, and the page in headless Chromium"
	@echo "make constraints     write down the newest versions that fit, for constraints.txt"
	@echo "make dist            the package for PyPI; REPOSITORY=URL, for the README's pictures"
	@echo "make clean           remove .venv and caches (runs/ and demo/ stay)"

$(INSTALLED): setup.cfg pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "pams_tf needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python $(PIP) --editable ".[dev]"
	@touch $@

demo: $(INSTALLED)
	$(BIN)/pams-demo --out demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

published-test: $(INSTALLED)
	@test -n "$(BENCHMARKS)" || { echo "BENCHMARKS=DIR is missing: DIR/Set5/HR, DIR/B100/HR"; exit 1; }
	PAMS_TF_BENCHMARKS="$(abspath $(BENCHMARKS))" $(BIN)/python -m pytest -m published

# In environments of their own: the least version of every dependency, and the newest of all.
build/minimum/.installed: setup.cfg tests/minimum.py
	$(PYTHON) -m venv build/minimum
	build/minimum/bin/python tests/minimum.py dev > build/minimum/constraints.txt
	build/minimum/bin/python -m pip install --quiet --constraint build/minimum/constraints.txt \
	  --editable ".[dev]"
	@touch $@

build/maximum/.installed: setup.cfg
	$(PYTHON) -m venv build/maximum
	build/maximum/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager \
	  --editable ".[dev]"
	@touch $@

test-minimum: build/minimum/.installed build/maximum/.installed
	build/minimum/bin/python -m pytest -n $(WORKERS)
	build/maximum/bin/python -m pytest -n $(WORKERS)

fuzz: $(INSTALLED)
	$(BIN)/python tests/fuzz/fuzz.py $(FUZZ_FLAGS)

constraints:
	$(PYTHON) -m venv build/newest
	build/newest/bin/python -m pip install --quiet --upgrade pip
	build/newest/bin/python -m pip install --quiet ".[dev,docs,notebooks]"
	build/newest/bin/python -m pip freeze --exclude pams_tf > constraints.txt

# Fetches qemu by apt, and an arm64 Python into build/arm.
arm-test: $(INSTALLED)
	$(BIN)/python -m pytest -m arm tests/arm

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# In the same environment, where the packages of make test keep their versions.
$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python $(PIP) --editable ".[docs,notebooks]"
	@touch $@

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

docs-serve: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr localhost:8001

docs-test: $(VENV)/.docs
	@$(WEB)/tools.sh chromium || true
	$(BIN)/python -m pytest -m site tests/website

notebooks: $(VENV)/.docs
	$(BIN)/python notebooks/run.py

notebooks-test: $(VENV)/.docs
	$(BIN)/python -m pytest -m notebooks tests/notebooks

bench: $(INSTALLED)
	$(BIN)/python benchmarks/speed.py

# In a virtual environment of its own: tensorflow-model-optimization wants an absl-py of before 2.0.
build/tfmot/.installed: setup.cfg
	$(PYTHON) -m venv build/tfmot
	build/tfmot/bin/python -m pip install --quiet --editable ".[comparison]" pytest
	@touch $@

tfmot-test: build/tfmot/.installed
	build/tfmot/bin/python -m pytest -m tfmot tests/benchmarks

tfmot-check: build/tfmot/.installed
	build/tfmot/bin/python benchmarks/tfmot_qat.py $(TFMOT_FLAGS)

$(MODELS): $(MODEL_SOURCES) | $(INSTALLED)
	$(BIN)/python mobile/build_models.py --out $(dir $@)

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json
	@$(WEB)/tools.sh node
	npm ci --prefix $(WEB) --no-fund --no-audit --loglevel=error
	@touch $@

web: $(MODELS) $(WEB)/node_modules/.installed
	cd $(WEB) && node build.mjs

web-serve: web
	cd $(WEB) && node serve.mjs dist 8000

web-test:
	@$(WEB)/test.sh

# PyPI shows the README alone, so its links and pictures need an address.
dist: $(INSTALLED)
	@test -n "$(REPOSITORY)" || { echo "REPOSITORY=URL is missing, below which README's links lie"; exit 1; }
	rm -rf build/dist && mkdir -p build && git clone --quiet . build/dist
	$(BIN)/python docs/absolute_links.py README.md "$(REPOSITORY)" > build/dist/README.md
	$(BIN)/python $(PIP) build
	$(BIN)/python -m build --outdir dist build/dist

clean:
	rm -rf mobile/build $(WEB)/dist $(WEB)/node_modules
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
