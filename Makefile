# The commands of this project. Each gets what it needs first (tools/bootstrap) and can be run on a bare machine.
.DEFAULT_GOAL := help
PYTHON_IN_VENV := .venv/bin/python
# tools/bootstrap leaves it to the first import to compile a package's modules: without a place to keep them, each process would.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-long sim torture torture-cluster steps fuzz sanitize bench bench-write bench-s3 bench-udf bench-native bench-ray test-objects test-cluster test-kubernetes lint format examples clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Build Leman and run its main job on real texts and pictures
	@tools/bootstrap demo
	@$(PYTHON_IN_VENV) examples/demo.py

test: ## C++ unit tests, Python tests, crash tests (10 minutes where nothing is installed, else 5)
	@tools/bootstrap test
	@ctest --test-dir build --output-on-failure --parallel 2
	@LEMAN_SCALAR_TEST_DIR=$(CURDIR)/build/scalar $(PYTHON_IN_VENV) -m pytest --numprocesses 4 --dist loadgroup

test-long: ## More cases, faults and kills of what make test has tested (about 5 minutes)
	@tools/bootstrap test
	@LEMAN_LONG_TESTS=1 LEMAN_SCALAR_TEST_DIR=$(CURDIR)/build/scalar $(PYTHON_IN_VENV) -m pytest --numprocesses 3 --dist loadgroup -m long

test-objects: ## Object stores: S3, Azure's and Google's servers (installs them once: 5 minutes; then about 3)
	@tools/bootstrap objects
	@LEMAN_LONG_TESTS=1 $(PYTHON_IN_VENV) -m pytest tests/python/objects

test-cluster: ## The long tests on a Ray cluster of several nodes on this machine (about 5 minutes)
	@tools/bootstrap cluster
	@LEMAN_CLUSTER_TESTS=full $(PYTHON_IN_VENV) -m pytest tests/cluster tests/python/cpp_api/test_elsewhere.py

test-kubernetes: ## Clusters on a real Kubernetes API server with KubeRay's operator (builds both once: 7 minutes)
	@tools/bootstrap kubernetes
	@$(PYTHON_IN_VENV) -m pytest tests/api_server

sim: ## New seeds of the simulator for a minute; SEEDS=A..B for certain ones
	@tools/bootstrap test
	@build/leman_sim $(if $(SEEDS),--seeds $(SEEDS),--from "$$(date -u +%F-%H%M%S)" --limit-s 60)

torture: ## Real jobs, 200 kills at random times, checked by pylance (about 6 minutes)
	@tools/bootstrap test
	@$(PYTHON_IN_VENV) tools/torture --kills 200

torture-cluster: ## The same on a Ray cluster of several nodes on this machine, 50 kills, also of whole nodes (about 6 minutes)
	@tools/bootstrap test cluster
	@$(PYTHON_IN_VENV) tools/torture --executor ray --kills 50

steps: ## A driver killed before and after each file that it makes, moves or removes (about 3 minutes)
	@tools/bootstrap test
	@LEMAN_ALL_STEPS=1 .venv/bin/python -m pytest -q tests/python/job/test_driver_steps.py

fuzz: ## Every decoder of bytes from outside under libFuzzer, a minute each
	@tools/bootstrap test fuzz
	@tools/fuzz 60

sanitize: ## The C++ tests under the address, undefined-behaviour and thread sanitizers (about 10 minutes)
	@tools/bootstrap test
	@tools/sanitize

bench: ## The figures of bench/results, peers included (about 20 minutes)
	@tools/bootstrap bench
	@$(PYTHON_IN_VENV) bench/main_job.py

bench-write: ## How large outputs are written and read: bench/results/write.md (about 8 minutes)
	@tools/bootstrap
	@$(PYTHON_IN_VENV) bench/write.py

bench-native: ## Native functions beside plain Python, written to bench/results/native.md (about 4 minutes)
	@tools/bootstrap test
	@$(PYTHON_IN_VENV) bench/native_udf.py

bench-ray: ## Job start, overhead and capacity on Ray, written to bench/results/ray.md (about 3 minutes)
	@tools/bootstrap test
	@.bench/venv-cluster/bin/python bench/on_ray.py --engine build

bench-udf: ## What calling functions costs: bench/results/udf.md (about 4 minutes)
	@tools/bootstrap
	@$(PYTHON_IN_VENV) bench/udf.py

bench-s3: ## What assembling 1 GB on S3 moves through the client
	@tools/bootstrap test
	@$(PYTHON_IN_VENV) bench/object_store.py

lint: ## Formatting, static checks, types, and the rules of src/README.md
	@tools/bootstrap lint
	@tools/lint

format: ## Format C++ and Python in place
	@tools/bootstrap lint
	@tools/lint --fix

examples: ## Build and run everything in examples/ but the demo
	@tools/bootstrap demo
	@tools/run_examples

clean: ## Remove everything that the commands above made
	rm -rf build build-* dist .venv .bench .kubernetes demo-data .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
