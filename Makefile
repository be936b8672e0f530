# BeamHub: make demo | test | check | docs | bench | soak | wheel
PYTHON ?= python3
PORT ?= 8000
FOLDER ?= .demo
RUNGS ?=
VENV := .venv
BIN := $(VENV)/bin
HUB5 := $(VENV)/hub5

.PHONY: demo test check docs bench soak wheel develop clean test-hub5

demo: $(VENV)/.demo
	@exec $(BIN)/beamhub demo --port $(PORT) --folder $(FOLDER)

test: $(VENV)/.test
	@tests/install_services "$(RUNGS)"
	@RUNGS="$(RUNGS)" $(BIN)/python -m pytest $(ARGS)
	@$(if $(ARGS),,$(if $(RUNGS),$(if $(filter hub,$(RUNGS)),$(MAKE) --no-print-directory test-hub5),$(MAKE) --no-print-directory test-hub5))

# The rung "hub" once more, on the older of the two lines of JupyterHub, in an environment of its own.
test-hub5:
	@$(MAKE) --no-print-directory VENV=$(HUB5) JUPYTERHUB="jupyterhub==5.5.*" $(HUB5)/.test
	@echo "the rung hub on JupyterHub 5.5 ..."
	@RUNGS=hub $(HUB5)/bin/python -m pytest $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.test
	$(BIN)/sphinx-build -q -W -b html docs build/docs
	@echo "docs are in build/docs/index.html"

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

soak: $(VENV)/.test
	$(BIN)/python -m benchmarks steady flood

wheel: $(VENV)/.test
	rm -rf build dist
	$(BIN)/python -m build --wheel

develop: $(VENV)/.test

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "BeamHub needs Python 3.11 or newer; $(PYTHON) is not. Say which: make demo PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing (Debian: apt install python3-venv)."; exit 1; }
	@echo "making a Python environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.%: $(VENV)/bin/python setup.cfg pyproject.toml setup.py server_extension/beamhub.json
	@echo "installing BeamHub and what it builds on into $(VENV) (some minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=24"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$*]" $(JUPYTERHUB)
	@mkdir -p $(VENV)/etc/jupyter/jupyter_server_config.d
	@cp server_extension/beamhub.json $(VENV)/etc/jupyter/jupyter_server_config.d/
	@touch $@

clean:
	rm -rf build dist *.egg-info widgets/static widgets/js/node_modules
