# graf-book. `make book` builds the site, `make test` checks everything, `make quick` what takes no
# minutes; all make .venv first. `make floors` and `make newest` make environments of their own.
# Another Python: make book PYTHON=/path/to/python3.12. The paper's tables: make book SOURCE=paper.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book test quick floors newest lint data paper lab strip screenshots address clean distclean

PYTHON ?= python3 python3.13 python3.12 python3.11
SOURCE ?= $(or $(GRAF_SOURCE),embedded)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON_LOWEST ?= python3.11 $(wildcard $(HOME)/.pyenv/versions/3.11*/bin/python)
PYTHON_NEWEST ?= python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python)

# Sets $$found to the first of some candidates that runs and is of a version: $(1) are the candidates,
# $(2) the version, $(3) the variable that names another.
define find_python
@found=''; for candidate in $(1); do \
  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit("%d.%d" % sys.version_info[:2] != "$(2)")' \
    >/dev/null 2>&1; then found="$$candidate"; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo "No Python $(2) found. If it has another name: make $@ $(3)=/path/to/python$(2)" >&2; exit 1; \
fi
endef

# Sets $$found to the first Python of $(PYTHON) that runs, is new enough and can make environments.
define first_python
found=''; for candidate in $(PYTHON); do \
  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
    >/dev/null 2>&1; then found="$$candidate"; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo "No usable Python found. Tried: $(PYTHON)." >&2; \
  echo "graf-book needs Python 3.11 or newer with the venv module (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
  echo "If it has another name: make PYTHON=/path/to/python" >&2; \
  exit 1; \
fi
endef

help: ## show this list
	@echo "graf-book: targets"
	@grep -E '^[a-z]+:.*##' Makefile | sed -e 's/:.*## /\t/' | expand -t 14

book: export GRAF_SOURCE := $(SOURCE)
book: $(STAMP) ## build the book into _build/html (SOURCE=paper: from the published tables)
	@case "$(SOURCE)" in embedded|paper) ;; \
	  *) echo "SOURCE is '$(SOURCE)'; it must be embedded or paper." >&2; exit 2 ;; esac
	@rm -rf _build/html
	@# --all: sidebars of all pages stay in step; the execution cache still spares unchanged notebooks
	$(BIN)/jupyter-book build . --all -n -W --keep-going
	@echo
	@echo "The book ($(SOURCE) tables) is at $(CURDIR)/_build/html/index.html"

test: lint ## ruff, then pytest on all cores, four at most (the site tests need a built book: make book first)
	@# a thread per process: workers whose libraries each take all cores wait for one another
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

quick: lint ## ruff, then the tests of the core, of claims and of the house: under 90 s
	$(BIN)/python -m pytest -m "not paper and not site and not cluster and not slow and not engine"

floors: ## the package's tests with the lowest versions it declares, on Python 3.11
	$(call find_python,$(PYTHON_LOWEST),3.11,PYTHON_LOWEST); \
	"$$found" tests/versions.py lowest _build/floors $(if $(TORCH),--torch)

newest: ## the package's tests with the newest versions there are, on Python 3.13
	$(call find_python,$(PYTHON_NEWEST),3.13,PYTHON_NEWEST); \
	"$$found" tests/versions.py newest _build/newest $(if $(TORCH),--torch)

lint: $(STAMP) ## ruff check and ruff format --check
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

data: $(STAMP) ## download and verify the paper's tables (or find them in GRAF_DATA_DIR)
	$(BIN)/python -m graf_utils.datasets download

paper: $(STAMP) ## recompute data/results from the paper's tables (about eleven hours; can be stopped)
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/paper_results.py
	$(BIN)/python data/recipes/proxy_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/importance_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/search_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/flow_search_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/task_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/table_results.py --status
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/table_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/chain_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/flow_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/flow_bars.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/flow_ablation.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/candidate_results.py
	$(BIN)/python data/recipes/flow_ceiling.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/flow_importances.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/zoo_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/bo_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/transformer_results.py
	OMP_NUM_THREADS=1 $(BIN)/python data/recipes/timm_results.py
	$(BIN)/python data/recipes/readme_figure.py

lab: $(STAMP) ## open the chapters in JupyterLab
	$(BIN)/python -m jupyterlab notebooks

strip: $(STAMP) ## remove outputs and execution counts from the notebooks
	$(BIN)/python -m nbstripout --keep-id --extra-keys metadata.language_info.version notebooks/*.ipynb

screenshots: $(STAMP) ## pictures of every page, two widths, light and dark, into _build/screenshots
	$(BIN)/python tests/screenshots.py _build/screenshots

address: ## rewrite all text that names the repository's address, from its one line in pyproject.toml
	@$(first_python); "$$found" tests/address.py

clean: ## remove the built book, its execution cache and the claims ledger
	rm -rf _build .pytest_cache .ruff_cache

distclean: clean ## also remove .venv
	rm -rf $(VENV)

# The environment depends on the pins and on the package's own metadata. A half-made one is redone.
$(STAMP): requirements.txt pyproject.toml
	@$(first_python); \
	echo "Making $(VENV) with $$("$$found" --version) (downloads once; a few minutes)"; \
	"$$found" -m venv --clear $(VENV)
	@$(BIN)/python tests/install.py
	@touch $@
