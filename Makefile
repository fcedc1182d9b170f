# `make demo` and `make test` are all that a new machine needs: each installs what it needs first.
SHELL := /bin/sh
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Each worker would compile all tests anew, before it runs one: 12 s of a core.
test test-fast: export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup check test test-kills test-fast demo image image-prove image-check bench clean-lab clean-image

help: ## what there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14

setup: .venv/.done ## the isolated Python environment, from the lock file

.venv/.done: requirements-dev.lock pyproject.toml .ci/setup
	@sh .ci/setup
	@touch $@

check: setup ## ruff, mypy --strict, import rules: seconds
	@ruff check .
	@ruff format --check -q .
	@mypy
	@lint-imports --no-cache --no-logo 2>/dev/null || lint-imports

test-fast: setup ## unit tests only
	@pytest -q tests/unit tests/cases tests/formats -n auto

test: check ## all tests but the long lives under kills; builds the lab's servers first
	@$(PY) -m paver.lab.demo --only-build
	@echo "tests: about 5,000, seven to fifteen minutes on 2 cores; what they miss of QEMU, Packer and Ansible is unpacked into the cache"
	@sh .ci/test

test-kills: check ## runs killed at every boundary of the journal and at 40 random moments: half an hour to an hour
	@$(PY) -m paver.lab.demo --only-build
	@$(PY) -m tests.crash.every
	@$(PY) -m tests.crash.many --kills 40

demo: setup ## raise the lab, run the whole main job in it, leave the report (PHASES=hosts,jumpbox for a part)
	@$(PY) -m paver.lab.demo $(if $(PHASES),--phases $(PHASES)) $(if $(IMAGE),--image $(IMAGE))

image: setup ## the jumpbox's OVA, signed, into dist/image (SIGN=key, else one of this account's own)
	@$(PY) -m paver image build $(if $(SIGN),--sign $(SIGN))

image-prove: setup ## boot that OVA in QEMU and hold it to what it should be (IMAGE=file, ONLY="way way" for a part)
	@$(PY) -m paver image prove $(or $(IMAGE),$(lastword $(sort $(wildcard dist/image/*.ova)))) $(addprefix --only ,$(ONLY))

image-check: setup ## Packer's templates and the playbook, by packer validate and ansible-lint (SCHEMA=folder: the OVF by DMTF's)
	@pytest -q tests/sim/test_image_templates.py
	@$(if $(SCHEMA),$(PY) -m tests.image.ovf_schema $(SCHEMA),echo "the OVF was not held to DMTF's schema: SCHEMA=folder names where that is")

bench: setup ## paver's speed against its peers (ONLY=start, ova, properties, plan, apply or image)
	@$(PY) -m tests.bench $(addprefix --only ,$(ONLY))

clean-lab: setup ## take every lab down; remove what was built and unpacked for it
	@$(PY) -m paver lab down --all
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/paver/lab"

clean-image: ## remove what builds of the image keep: stages, .debs, wheels
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/paver/image"
