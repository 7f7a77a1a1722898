# What people type. CI runs .ci/run, which makes an environment of its own.
.PHONY: install app test check docs bench lessons mutants
PYTHON ?= python

install:  ## the app and what its tests need, in the exact versions of the last green run
	$(PYTHON) -m pip install -r tests/requirements.txt -c constraints.txt

app:
	$(PYTHON) app.py

test:
	$(PYTHON) -m pytest -n auto --dist loadfile

check:
	ruff check .
	ruff format --check .
	find lab -name '*.pyi' -delete  # gradio writes them; mypy would read them instead of the code
	mypy
	$(PYTHON) -m docs.generate --check

docs:  ## print the tables of README.md and docs/ again
	$(PYTHON) -m docs.generate

bench:  ## measure what docs/performance.md shows, on a machine that does nothing else
	$(PYTHON) -m docs.measure $(ONLY)

lessons:  ## run the page's lessons again and record them
	$(PYTHON) -m lab.ui.lessons

mutants:  ## break a rule at a time; `make mutants ONLY=samplers`, or a word of a law or file
	$(PYTHON) -m tests.mutants $(ONLY)
