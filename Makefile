# Two commands are all a fresh machine needs: `make demo` and `make test`.
.DEFAULT_GOAL := help
MDR := .venv/bin/mdr
DEMO := runs/demo
IMAGE ?= mdr:latest
DOCKER ?= docker

.PHONY: help demo test test-all check lock image clean

help:  ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/ready: requirements.lock pyproject.toml setup.py .ci/setup
	@PYTHON="$(PYTHON)" .ci/setup

demo: .venv/ready  ## Sample logs in, a gated and pushed model and a report out (under five minutes)
	@$(MDR) sample --out $(DEMO)/sample
	@$(MDR) run --config $(DEMO)/sample/config.yaml --out $(DEMO)/run
	@[ -z "$$DISPLAY$$WAYLAND_DISPLAY" ] || $(MDR) report --run $(DEMO)/run --open

test:  ## Lint and tests (under ten minutes on two cores)
test-all:  ## The same, and the tests that take minutes each: what every change must pass
test: CHOSEN := -m "not exhaustive"
test test-all: .venv/ready
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/python -m pytest -n 2 --dist loadscope $(CHOSEN)

check: .venv/ready  ## Format, lint and the quick tests
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .
	@.venv/bin/python -m pytest -m "not slow and not exhaustive"

lock: .venv/ready  ## Resolve requirements.lock anew from pyproject.toml
	@.venv/bin/uv pip compile pyproject.toml --group run --group dev --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --quiet -o requirements.lock

image:  ## Build the container image: make image IMAGE=REGISTRY/mdr:1 [DOCKER=podman]
	@command -v $(DOCKER) >/dev/null || { echo "mdr: there is no $(DOCKER) here; install it, or name another \
	builder of images: make image DOCKER=podman" >&2; exit 1; }
	@$(DOCKER) build --file kubeflow/Dockerfile --tag $(IMAGE) .

clean:  ## Remove the environment and the demo's files
	rm -rf .venv runs
