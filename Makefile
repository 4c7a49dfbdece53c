# make demo   scan and report the sample wall: a look at what crackcli does, in about a minute
# make test   everything a developer needs, then the tests
# make slow   the tests marked slow: minutes each, run before a release
# make lint   style, and types by mypy --strict
# make wheel  the wheel, installed by itself: it scans and reports without this checkout
# make docs   the documentation as a site: open site/index.html; a broken link is an error
#
# All make a virtual environment in .venv; PYTHON=python3.12 takes another interpreter.

PYTHON ?= python3
VENV ?= .venv
OUT ?= out/demo
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: demo test slow lint wheel docs clean

demo: $(VENV)/base
	$(VENV)/bin/crackcli scan sample_data/wall.tif -o $(OUT)
	$(VENV)/bin/crackcli report $(OUT)
	@echo
	@echo "Open $(OUT)/cracks.qgs in QGIS: the cracks lie on the wall."
	@echo "$(OUT)/wall/overview.png shows them without QGIS."
	@echo "$(OUT)/cracks.csv is a row for each crack; $(OUT)/wall/mask.tif is their pixels and"
	@echo "those of the joints. To type crackcli yourself: . $(VENV)/bin/activate"

test: $(VENV)/test
	$(VENV)/bin/python -m pytest

slow: $(VENV)/test
	$(VENV)/bin/python -m pytest -m slow

lint: $(VENV)/test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy crackcli

wheel: $(VENV)/test
	rm -rf dist $(VENV)-wheel
	$(VENV)/bin/python -m build --outdir dist .
	$(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip --disable-pip-version-check install --quiet \
	  -c constraints.txt dist/*.whl
	$(VENV)-wheel/bin/python tests/packaging/check_wheel.py

docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/base: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) .
	touch $@

$(VENV)/test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable ".[test]"
	touch $@

$(VENV)/docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-wheel dist site out
