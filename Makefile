# BeamHub: make demo | test | test-hub5 | check | docs | bench | soak | wheel
PYTHON ?= python3
PORT ?= 8000
FOLDER ?= .demo
RUNGS ?=
VENV := .venv
BIN := $(VENV)/bin
HUB5 := .venv-hub5
LANES := -n 2 --dist loadfile --no-loadscope-reorder
WITH_HUB5 := $(if $(RUNGS),$(filter hub5,$(RUNGS)),hub5)

.PHONY: demo test test-hub5 check docs bench soak wheel develop clean

demo: $(VENV)/.demo
	@exec $(BIN)/beamhub demo --port $(PORT) --folder $(FOLDER)

test: $(VENV)/.test
	@tests/install_services "$(RUNGS)"
ifneq ($(WITH_HUB5),)
	-@$(MAKE) --no-print-directory $(HUB5)/.made
endif
	@RUNGS="$(RUNGS)" $(BIN)/python -m pytest $(LANES) $(ARGS)

# The rung `hub` on the older line of JupyterHub alone, with ARGS of its own; `make test` does it as the rung `hub5`.
test-hub5: $(HUB5)/.made
	@RUNGS=hub $(HUB5)/bin/python -m pytest $(LANES) $(ARGS)

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
	$(BIN)/python -m benchmarks outage steady flood

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

# Of JSON's formats nothing here asks for international addresses; their grammar (rfc3987_syntax) would be made at every
# start of a Hub and of a notebook server, which is more than half of it: 1.7 s.
$(VENV)/.%: $(VENV)/bin/python setup.cfg pyproject.toml setup.py server_extension/beamhub.json
	@echo "installing BeamHub and what it builds on into $(VENV) (some minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=24"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	@mkdir -p $(VENV)/etc/jupyter/jupyter_server_config.d
	@cp server_extension/beamhub.json $(VENV)/etc/jupyter/jupyter_server_config.d/
	@mkdir -p $(VENV)/share/jupyter/labextensions/@beamhub
	@ln -sfn "$(CURDIR)/server_extension/lab" $(VENV)/share/jupyter/labextensions/@beamhub/session
	@echo "import sys; sys.modules.setdefault('rfc3987_syntax')" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/quick_start.pth"
	@touch $@

# A copy of .venv by hard links, its programs' paths made its own, then the older JupyterHub in the newer one's place:
# JupyterHub is all that differs, nothing is found in the first environment, and nothing is downloaded twice.
$(HUB5)/.made: $(VENV)/.test
	@echo "making a copy of $(VENV) with JupyterHub 5.5 in $(HUB5) ..."
	@rm -rf $(HUB5)
	@cp -al $(VENV) $(HUB5)
	@sed -i 's|$(CURDIR)/$(VENV)\b|$(CURDIR)/$(HUB5)|g' $(HUB5)/pyvenv.cfg $$(grep -rlIF "$(CURDIR)/$(VENV)" $(HUB5)/bin)
	@$(HUB5)/bin/python -m pip install --quiet --disable-pip-version-check "jupyterhub==5.5.*"
	@touch $@

clean:
	rm -rf build dist *.egg-info widgets/static widgets/js/node_modules
