# `make demo` and `make test` need Python 3.11 and pip, and nothing else. A second call installs nothing again.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
TORCH := $(shell sed -n 's/^torch==//p' requirements.txt)
TORCH_CPU := https://download.pytorch.org/whl/cpu
PYTEST_ARGS ?=
# Tests run side by side, one worker per core. All tests of a file go to one worker: they share a server, clips, weights or
# the order. Files start in the order of their names, for those with few tests take the longest. `make WORKERS=0` is one
# process.
WORKERS ?= logical
PARALLEL := -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
SMOKE := out/smoke
# Tests that meet what a machine may have installed: voices, programs, FaceKit. `make test-bare` hides all of it.
BARE := tests/test_hidden.py tests/synth/voice/test_speech.py tests/synth/voice/test_festival.py tests/cli/test_render.py \
  tests/synth/head/test_facekit.py tests/methods/rig/test_audio_stage.py tests/cli/test_train.py tests/evaluation/reports/test_lips.py \
  tests/evaluation/scenes/test_speakers.py tests/evaluation/reports/test_talk.py tests/evaluation/reports/test_variance.py tests/ui/test_browser.py \
  $(addprefix tests/methods/pd_fgc/test_stages.py::test_,each_kept_view_of_a_clip_is_its_own \
    lids_and_lips_count_whatever_the_pose)

.PHONY: help demo test test-bare app lint check hooks smoke
help:
	@echo "make demo   a talking video from examples/, at out/demo.mp4"
	@echo "make test   the whole test suite"
	@echo "make test-bare  the tests that meet voices, browser and head, with all that is not from PyPI hidden"
	@echo "make app    the page on http://127.0.0.1:7860"
	@echo "make lint   format, lint and types"
	@echo "make check  lint and the fast tests"
	@echo "make hooks  format, lint, types and the tests of the house rules before every commit"
	@echo "make smoke  render a few clips and train every stage of every preset for two steps (needs the FaceKit head)"

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "thgen needs Python 3.11 or later: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# Where there is no GPU, PyTorch's own index has a build without 3 GB of CUDA; if it cannot be reached, PyPI's works too.
$(VENV)/.run: requirements.txt | $(PY)
	@if ! command -v nvidia-smi >/dev/null && ! $(PY) -c 'import torch' 2>/dev/null && $(PY) -c \
	  'import urllib.request; urllib.request.urlopen("$(TORCH_CPU)/torch/", timeout=5)' 2>/dev/null; then \
	  echo "installing torch $(TORCH) for CPU"; $(PIP) "torch==$(TORCH)+cpu" --index-url $(TORCH_CPU); fi
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt pyproject.toml $(VENV)/.run
	$(PIP) -e '.[train,eval,dev]'
	@touch $@

demo: $(VENV)/.run
	@mkdir -p out
	$(PY) -m thgen generate --method rig --photo examples/portrait_1.png --audio examples/voice_1.wav --out out/demo.mp4

app: $(VENV)/.run
	$(PY) app.py

test: $(VENV)/.dev
	$(PY) -m pytest $(PARALLEL) $(PYTEST_ARGS)

test-bare: $(VENV)/.dev
	$(PY) -m pytest $(PARALLEL) --without all $(BARE) $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy thgen app.py

check: lint
	$(PY) -m pytest -m "not slow and not browser" $(PARALLEL) $(PYTEST_ARGS)

hooks: $(VENV)/.dev
	$(VENV)/bin/pre-commit install

smoke: $(VENV)/.dev
	rm -rf $(SMOKE)
	$(PY) -m thgen render --motion pairs --identities 3 --clips-per-identity 1 --frames 9 --out $(SMOKE)/pairs --workers 2
	$(PY) -m thgen render --motion track --voices espeak --identities 2 --clips-per-identity 1 --frames 16 \
	  --flow-size 64 --out $(SMOKE)/talk --workers 2
	$(PY) -m thgen train rig --smoke --runs $(SMOKE)/runs
	$(PY) -m thgen train pd_fgc --preset compact --smoke --runs $(SMOKE)/runs
	$(PY) -m thgen train pd_fgc --preset paper --smoke --runs $(SMOKE)/runs
	$(PY) -m thgen train fc_tfg --preset compact --smoke --runs $(SMOKE)/runs
	$(PY) -m thgen train fc_tfg --preset paper --smoke --runs $(SMOKE)/runs
	$(PY) -m thgen train gc_avt --preset paper --smoke --runs $(SMOKE)/runs
	$(PY) -m thgen train speak --preset paper --smoke --runs $(SMOKE)/runs
