# Needs only Python 3.10-3.13 and make. An environment is created once, and again when one of its
# requirements or constraints files changes.

VENV := .venv
PY := $(VENV)/bin/python
# --no-compile: only a small part of the files is ever imported; Python compiles those on import.
PIP_INSTALL := -m pip install --disable-pip-version-check --no-input --no-compile -qq
PYTHONS := 3.13 3.12 3.11 3.10
PYTHONS_OLDEST := 3.12 3.11 3.10
PYTHONS_ADDONS := 3.11 3.10 3.9
PYTHONS_GPU_PROGRAM := 3.13 3.12 3.11
PYTHON :=
DEMO_EXPORT := serving/demo
# The tests of a file stay in one process, because they share expensive fixtures. A process needs
# 2 GB of memory.
ALL_CORES := -n auto --maxprocesses=4 --dist=loadfile

# Keep Python's bytecode, whatever the shell says: otherwise every process that imports TensorFlow
# compiles 3,800 modules anew, 11 s of processor time instead of 5.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-slow test-oldest test-addons test-install test-gpu-program fuzz lint
.PHONY: format docs clean

help:  ## this list (default)
	@sed -n 's/^\([a-z-]*\):.*  ## /make \1	/p' Makefile | expand -t 20
	@echo 'PYTHON=/path/to/python selects the Python of an environment that does not exist yet.'

# Needs requirements.txt only. train.py without flags trains the demo preset on the demo dataset.
demo: $(VENV)/run.stamp  ## train on cartoon faces, 4x4 -> 32x32, then a grid and a SavedModel
	$(PY) train.py
	@run=$$(ls -d results/*-demo-demo | tail -n 1) && set -x && \
	$(PY) generate.py grid --run="$$run" --out="$$run/grid.png" --overwrite && \
	$(PY) generate.py export --run="$$run" --out=$(DEMO_EXPORT) && { set +x; } 2>/dev/null && \
	echo "Image grid: $$run/grid.png" && \
	echo "SavedModel: $$(ls -td $(DEMO_EXPORT)/*/ | head -n 1)"

test: $(VENV)/dev.stamp  ## quick tests
	$(PY) -m pytest $(ALL_CORES)

test-slow: $(VENV)/dev.stamp  ## slow tests: all, or those in TESTS='files'
	$(PY) -m pytest $(ALL_CORES) -m 'slow and not gpu' $(TESTS)

test-oldest: .venv-oldest/dev.stamp  ## quick tests with the oldest supported versions
	.venv-oldest/bin/python -m pytest $(ALL_CORES)

# -W default: we cannot fix the warnings of TensorFlow 2.15.
test-addons: .venv-addons/addons.stamp  ## compare our reference values with tensorflow-addons
	.venv-addons/bin/python -m pytest -W default tests/addons

# Not in .venv: pip fills a new environment, in a temporary folder.
test-install:  ## install the package with pip, and use it from another folder
	@python=$$(PYTHON='$(PYTHON)' sh .ci/find_python '$@' $(PYTHONS)) && \
	"$$python" tests/bare_install.py $(SOURCE)

test-gpu-program: .venv-gpu-program/gpu-program.stamp  ## count what a GPU would run, without one
	.venv-gpu-program/bin/python -m pytest -m slow tests/gpu_program

MINUTES := 10
fuzz: $(VENV)/dev.stamp  ## damage files of every kind and read them, for MINUTES=10
	$(PY) -m tests.fuzz --minutes=$(MINUTES)

lint: $(VENV)/dev.stamp  ## ruff and mypy
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

format: $(VENV)/dev.stamp  ## reformat the sources with ruff
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

docs: $(VENV)/run.stamp  ## update docs/*-help.txt from the scripts' --help
	docs/write_help.sh $(PY)

clean:  ## remove environments and caches; datasets and results stay
	rm -rf .venv .venv-oldest .venv-addons .venv-gpu-program .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call make_env,VERSIONS) creates the target's environment unless its Python is one of VERSIONS.
define make_env
@PYTHON=$(@D)/bin/python sh .ci/find_python $(@D) $(1) >/dev/null 2>&1 || { \
	python=$$(PYTHON='$(PYTHON)' sh .ci/find_python '$(MAKECMDGOALS)' $(1)) && \
	echo "Making $(@D) with $$python" && "$$python" -m venv --clear $(@D); }
endef

$(VENV)/run.stamp: requirements.txt constraints.txt
	$(call make_env,$(PYTHONS))
	@echo 'Installing requirements.txt into $(VENV): TensorFlow alone is about 600 MB ...'
	@$(PY) $(PIP_INSTALL) -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	@echo 'Installing requirements-dev.txt into $(VENV) ...'
	@$(PY) $(PIP_INSTALL) -r requirements-dev.txt -c constraints.txt
	@touch $@

.venv-oldest/dev.stamp: requirements.txt requirements-dev.txt constraints-oldest.txt
	$(call make_env,$(PYTHONS_OLDEST))
	@echo 'Installing the oldest supported versions into $(@D) ...'
	@$(@D)/bin/python $(PIP_INSTALL) -r requirements-dev.txt -c constraints-oldest.txt
	@touch $@

.venv-gpu-program/gpu-program.stamp: requirements-gpu-program.txt requirements-dev.txt
	$(call make_env,$(PYTHONS_GPU_PROGRAM))
	@echo 'Installing requirements-gpu-program.txt into $(@D) ...'
	@$(@D)/bin/python $(PIP_INSTALL) -r requirements-gpu-program.txt
	@touch $@

.venv-addons/addons.stamp: requirements-addons.txt
	$(call make_env,$(PYTHONS_ADDONS))
	@echo 'Installing requirements-addons.txt into $(@D) ...'
	@$(@D)/bin/python $(PIP_INSTALL) -r requirements-addons.txt
	@touch $@
