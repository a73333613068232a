# make demo   the whole path on the sample corpus, then the search page (DEMO_UI=0 stops after the answers)
# make test   lint, types and every test
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEMO   := .demo

# A collection in BEIR layout for the benchmarks that need real passages: make bench BEIR=FOLDER
BEIR   ?=
# A folder with sts-train.csv, sts-dev.csv and sts-test.csv, for the benchmark of training: make bench STSB=FOLDER
STSB   ?=

# On machines without a GPU the CPU build of torch is enough; TORCH may name another requirement.
TORCH  ?= torch>=2.4,<2.14

# Folders in BEIR layout with judgments to learn from and to test with: make learn DATASETS=FOLDER
DATASETS ?=

# Libraries that are written for Sentence Transformers, run on this one, and frameworks whose stores collections
# are; with their many needs apart from ours.
COMPAT := .venv-compat

.PHONY: demo test lint types pytest compat faults bench learn wheel clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile | sed -n '1,2p'

$(BIN)/python:
	@$(PYTHON) -m venv $(VENV)

# A comma would part the arguments of `call`.
FOR_TESTS := -e ".[all,dev]"

# pip is silent while it downloads and unpacks: a line every few seconds says that it is at work, and how far.
define install
	@echo "Installing stlib into $(@D) ..."
	@( while sleep 4; do echo "  ... $$(du -sm $(@D) 2>/dev/null | cut -f1) MB installed"; done ) & said=$$!; \
	  $(@D)/bin/python -m pip --disable-pip-version-check install -q --progress-bar off $(1); done=$$?; \
	  kill $$said 2>/dev/null; exit $$done
	@touch $@
endef

$(VENV)/.app: pyproject.toml | $(BIN)/python
	$(call install,--no-compile -e ".[app]")  # what is imported is compiled then: six seconds sooner there

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(call install,"$(TORCH)" $(FOR_TESTS))
	@touch $(VENV)/.app

demo: $(VENV)/.app
	@STLIB_HOME="$(CURDIR)/$(DEMO)" $(BIN)/python -m app.demo --corpus "$(DEMO)/corpus" $(if $(filter 0,$(DEMO_UI)),--no-ui)

# Types are checked beside the first tests: mypy takes one processor for most of a minute.
test: lint
	@$(BIN)/mypy & types=$$!; $(MAKE) --no-print-directory pytest; tests=$$?; \
	  wait $$types || { tests=1; echo "Types are wrong: mypy said above where."; }; exit $$tests

# Tests start hundreds of processes, each of which would compile the sources anew where the environment says that
# compiled code is not kept.
pytest faults: export PYTHONDONTWRITEBYTECODE =

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# In the order of the folders: xdist would leave the file of one long test, tests/faults/test_kill.py, to the end.
pytest: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

$(COMPAT)/.installed: pyproject.toml
	@test -x $(COMPAT)/bin/python || $(PYTHON) -m venv $(COMPAT)
	$(call install,"$(TORCH)" -e ".[compat]")

compat: $(COMPAT)/.installed
	$(COMPAT)/bin/python -m pytest tests/compat -o asyncio_mode=auto -o asyncio_default_fixture_loop_scope=function

faults: $(VENV)/.dev
	$(BIN)/python -m pytest tests/faults tests/unit/jobs/test_jobs_faults.py --kills 200 --mutants 2000 --soak 600
	$(BIN)/python -m pytest --long tests --kills 200
	$(BIN)/python -m pytest --postgres tests/unit/serving tests/unit/sources tests/unit/beside tests/unit/gate \
	  $(filter-out %_unwritable.py %_damage.py %_catalog.py,$(wildcard tests/unit/collection/test_*.py)) \
	  tests/conformance/test_three_legs.py tests/unit/bulk/test_load_here.py tests/unit/bulk/test_piece_writer.py \
	  tests/unit/bulk/test_collection_load.py
	STLIB_YEARS=200 $(BIN)/python -m pytest tests/property/test_sync_year.py
	$(BIN)/python -m pytest tests/unit/gate tests/unit/statistics --draws 400 --simulations

bench: $(VENV)/.dev
	@for f in tests/benchmarks/bench_*.py; do \
	  case $$f in \
	    *_common.py) continue ;; \
	    *_backends.py|*_cross_encoder.py|*_rerank_quality.py|*_reranker_latency.py|*_reranker_training.py) corpus="$(BEIR)" ;; \
	    *_runtime.py) corpus="$(if $(BEIR),$(BEIR)/corpus.jsonl)" ;; \
	    *_training_quality.py) \
	      echo "== $$f"; $(BIN)/python $$f $(if $(BEIR),--beir "$(BEIR)") $(if $(STSB),--stsb "$(STSB)") || exit 1; \
	      continue ;; \
	    *) echo "== $$f"; $(BIN)/python $$f || exit 1; continue ;; \
	  esac; \
	  if [ -z "$$corpus" ]; then echo "== $$f left out: it needs BEIR=FOLDER"; continue; fi; \
	  echo "== $$f"; $(BIN)/python $$f "$$corpus" || exit 1; \
	done

learn: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/learn.py $(if $(DATASETS),"$(DATASETS)")

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf $(VENV) $(COMPAT) $(DEMO) dist build
