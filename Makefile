# Everything that is typed to build, try, test and measure crossent. Stamps in .venv make it quick when nothing changed.
#
#   make demo       install what a user gets, run the demo
#   make test       install what a developer gets, run the core tests (under 4 minutes on 2 cores)
#   make test-all   the same with slow, framework, cluster, browser, postgres tests and the sanitizers
#   make test-frameworks  the front-ends beside PyTorch, JAX, Keras and TensorFlow: newest and oldest versions
#   make check      lint, format, types, layers
#   make sanitize   native and core tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make fuzz       random calls and random native jobs, FUZZ_SECONDS=60 of each; the latter under the sanitizers
#   make frameworks install PyTorch, JAX, Keras and TensorFlow beside crossent into .venv-frameworks
#   make bench      benchmarks/RESULTS.md: crossent beside these, SciPy and scikit-learn (about 50 minutes)
#   make tables     measure the worst errors again: tests/tables/errors.json, docs/accuracy.md
#   make coverage   count again how often intervals hold and tests reject: docs/coverage.md (about 5 minutes)
#   make docs       docs/_build/html
#   make clean      remove what was built, keep .venv, .venv-frameworks and .venv-frameworks-oldest

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough and can make environments.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

VENV_MADE := $(VENV)/.made
TOOLS_MADE := $(VENV)/.made-build-tools
APP_MADE := $(VENV)/.made-app
DEV_MADE := $(VENV)/.made-dev
FRAMEWORKS := .venv-frameworks
FRAMEWORKS_MADE := $(FRAMEWORKS)/.made
OLDEST := .venv-frameworks-oldest
OLDEST_MADE := $(OLDEST)/.made
WHEELS := build/wheels
WHEEL_MADE := $(WHEELS)/.made
BUILD_INPUTS := CMakeLists.txt pyproject.toml $(wildcard native/*)

PYTEST := $(BIN)/python -m pytest
PYTEST_ARGS ?= -n auto
SANITIZED := build/sanitize

.PHONY: help demo test test-all test-frameworks check frameworks bench tables coverage docs sanitize sanitized fuzz fuzz-native fuzz-api browser \
	clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#  *make /make /p' Makefile

$(VENV_MADE):
	@test -n "$(PYTHON)" || { echo "crossent needs Python >= 3.11 with venv (Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	@touch $@

$(TOOLS_MADE): $(VENV_MADE)
	$(PIP) install 'scikit-build-core>=0.11' 'nanobind>=2.9' cmake ninja
	@touch $@

# The native module is compiled again only when its sources or the build's description change.
$(APP_MADE): $(TOOLS_MADE) $(BUILD_INPUTS)
	$(PIP) install --no-build-isolation -e '.[demo]'
	@touch $@

# islp is there for its data files; what it requires (PyTorch, among others) is not.
$(DEV_MADE): $(TOOLS_MADE) $(BUILD_INPUTS)
	$(PIP) install --no-build-isolation -e '.[dev]'
	$(PIP) install --no-deps 'islp>=0.4'
	@touch $(APP_MADE) $@

demo: $(APP_MADE)
	$(BIN)/crossent demo

test: $(DEV_MADE)
	$(PYTEST) -rs $(PYTEST_ARGS)

# An empty -m takes back the selection in pyproject.toml; -rs counts what was skipped and says why.
test-all: $(DEV_MADE) $(FRAMEWORKS_MADE) $(OLDEST_MADE) browser
	$(PYTEST) -rs -m '' $(PYTEST_ARGS)
	$(MAKE) test-frameworks
	$(MAKE) sanitize
	$(MAKE) fuzz FUZZ_SECONDS=30 FUZZ_SEED=1

check: $(DEV_MADE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -q tests/house/test_layers.py

# The compiled objects are those of the editable install: both build in build/{wheel tag}.
$(WHEEL_MADE): $(TOOLS_MADE) $(BUILD_INPUTS) $(shell find src/crossent -type f ! -name '*.pyc' ! -name '*.so')
	rm -rf $(WHEELS)
	$(PIP) wheel --no-build-isolation --no-deps -w $(WHEELS) .
	@touch $@

# Apart from .venv, which must not see these libraries by accident: crossent is compared with them, and its front-ends
# are tested beside them. The second line brings what is missing, the third what changed in crossent itself.
define install_beside_frameworks
	$(BIN)/python -m venv $(1)
	$(1)/bin/python -m pip --disable-pip-version-check --quiet install "$$(echo $(WHEELS)/*.whl)[frameworks]" $(2)
	$(1)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --force-reinstall $(WHEELS)/*.whl
	@touch $(1)/.made
endef

$(FRAMEWORKS_MADE): $(WHEEL_MADE)
	$(call install_beside_frameworks,$(FRAMEWORKS),'torch==2.13.0' scikit-learn matplotlib)

# The oldest versions that pyproject.toml allows, each of them exactly.
OLDEST_PINS := import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	extras = project["optional-dependencies"]; \
	print(*(line.replace(">=", "==") for part in ("torch", "jax", "keras", "frameworks") for line in extras[part] + \
	project["dependencies"] if ">=" in line))
$(OLDEST_MADE): $(WHEEL_MADE)
	$(call install_beside_frameworks,$(OLDEST),$$($(BIN)/python -c '$(OLDEST_PINS)'))

frameworks: $(FRAMEWORKS_MADE)

# The front-ends as installed, with their doctests, then the examples. CROSSENT_FRAMEWORKS=1 turns a missing framework into
# an error. Keras has one backend a process: its tests start one for each, which runs the doctests of crossent.keras too.
FRAMEWORKS_ARGS ?= -n auto
front_end_tests = CROSSENT_FRAMEWORKS=1 $(1)/bin/python -m pytest -rs -m $(2) $(FRAMEWORKS_ARGS) \
	--pyargs crossent.torch crossent.jax tests/front_ends

# PyTorch is the same in both, so its slow tests run once.
test-frameworks: $(FRAMEWORKS_MADE) $(OLDEST_MADE)
	$(call front_end_tests,$(FRAMEWORKS),'') tests/examples
	$(call front_end_tests,$(OLDEST),'not slow')

bench: $(DEV_MADE) $(FRAMEWORKS_MADE)
	$(BIN)/crossent bench --suite loss --suite small --suite linear --suite torch --suite scaling --suite fit --suite score \
		--vs torch,jax,tensorflow,scipy,sklearn,sklearnex,numpy \
		--notes benchmarks/notes.toml --json benchmarks/results.json --output benchmarks/RESULTS.md

# A number may fall, not rise without a reason. The peers' numbers are measured where FRAMEWORKS_PYTHON has them.
FRAMEWORKS_PYTHON ?= .venv-frameworks/bin/python
tables: $(DEV_MADE)
	PYTHONPATH=tests $(BIN)/python -m tables --python $(FRAMEWORKS_PYTHON)

coverage: $(DEV_MADE)
	$(BIN)/python benchmarks/coverage.py --replicates 2000 --output docs/coverage.md

docs: $(DEV_MADE)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# The browser tests drive Debian's chromium; nothing is installed without being root.
browser:
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get -qq update && apt-get -qq install -y chromium || echo "chromium could not be installed" >&2; \
	else \
		echo "No chromium: browser tests will be skipped. Run: sudo apt-get install chromium" >&2; \
	fi

# Native tests under AddressSanitizer and UndefinedBehaviorSanitizer. The environment's own python would prefer the
# editable install, so the python beneath it runs with a path of our own: first the sanitized build, then the libraries;
# pytest plugins of its own stay out.
sanitized: $(DEV_MADE)
	@case "$$(uname -s)" in Linux) ;; *) echo "make sanitize needs Linux" >&2; exit 1;; esac
	$(BIN)/cmake -S . -B $(SANITIZED) -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DCROSSENT_SANITIZE=ON \
		-DCROSSENT_FUZZ=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS=-fno-var-tracking -DCMAKE_INSTALL_PREFIX=$(CURDIR)/$(SANITIZED)/site \
		-DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -Dnanobind_DIR=$$($(BIN)/python -m nanobind --cmake_dir) >/dev/null

sanitize: sanitized
	$(BIN)/cmake --build $(SANITIZED)
	rm -rf $(SANITIZED)/site && mkdir -p $(SANITIZED)/site && cp -R src/crossent $(SANITIZED)/site/
	$(BIN)/cmake --install $(SANITIZED) >/dev/null
	libasan=$$($${CXX:-c++} -print-file-name=libasan.so); \
	libubsan=$$($${CXX:-c++} -print-file-name=libubsan.so); \
	libstdcxx=$$($${CXX:-c++} -print-file-name=libstdc++.so); \
	base=$$($(BIN)/python -c 'import sys; print(sys._base_executable)'); \
	libraries=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))'); \
	test -e "$$libasan" || { echo "no libasan.so beside $${CXX:-c++}: install gcc's sanitizer libraries" >&2; exit 1; }; \
	PYTHONPATH="$(CURDIR)/$(SANITIZED)/site:$$libraries" PYTHONDONTWRITEBYTECODE=1 \
	LD_PRELOAD="$$libasan $$libubsan $$libstdcxx" ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 CROSSENT_SANITIZED="$(CURDIR)/$(SANITIZED)" \
	PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 \
	$$base -m pytest -q -p xdist.plugin $(PYTEST_ARGS) --capture=sys -p no:cacheprovider $(wildcard tests/native tests/core) tests/house/test_symbols.py tests/test_sanitized.py

# Random native jobs by libFuzzer where a clang has it (16 and later compile the kernels), else by tests/fuzz/driver.cpp
# on the objects of make sanitize (FUZZ_CXX= forces that); random calls of the public functions by hypothesis.
FUZZ_SECONDS ?= 60
# Where the random numbers begin: anywhere, but in test-all, so that a change alone decides whether it passes.
FUZZ_SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
FUZZ_CXX ?= $(shell for c in clang++ clang++-21 clang++-20 clang++-19 clang++-18 clang++-17 clang++-16; do \
	printf 'static_assert(__clang_major__ > 15); extern "C" int LLVMFuzzerTestOneInput(char*, long) { return 0; }' | \
	$$c -std=c++20 -x c++ -fsanitize=fuzzer,address,undefined - -o /dev/null 2>/dev/null && { echo $$c; break; }; done)
FUZZ_FOUND := build/fuzz/found
# Whole inputs from the start: a job of few bytes has few rows.
FUZZ_LENGTH := -len_control=0 -max_len=256

fuzz:
	$(MAKE) fuzz-native
	$(MAKE) fuzz-api

fuzz-native: sanitized
	@set -e; build=$(SANITIZED); compiler="$(FUZZ_CXX)"; \
	if test -n "$$compiler"; then \
		build=build/fuzz/clang; \
		$(BIN)/cmake -S . -B $$build -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DCROSSENT_FUZZ=ON \
			-DCMAKE_CXX_COMPILER=$$compiler -DCMAKE_BUILD_TYPE=Release | sed -n 's/^-- fuzz_native/fuzz_native/p'; \
	else \
		echo "fuzz_native: tests/fuzz/driver.cpp (no clang with libFuzzer was found)"; \
	fi; \
	$(BIN)/cmake --build $$build --target fuzz_native; \
	mkdir -p $(FUZZ_FOUND); \
	for fault in value gradient sums 'bad row' overrun; do \
		if CROSSENT_FUZZ_SPOIL="$$fault" $$build/fuzz_native -seed=$(FUZZ_SEED) -max_total_time=20 $(FUZZ_LENGTH) -exact_artifact_path=/dev/null >/dev/null 2>&1; \
		then echo "fuzz_native does not notice a wrong $$fault" >&2; exit 1; fi; \
	done; \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=handle_abort=1 \
	$$build/fuzz_native -seed=$(FUZZ_SEED) -max_total_time=$(FUZZ_SECONDS) $(FUZZ_LENGTH) -artifact_prefix=$(FUZZ_FOUND)/ || { \
		echo "An input that must not fail is in $(FUZZ_FOUND). Again: $$build/fuzz_native $(FUZZ_FOUND)/crash-..." >&2; exit 1; }

# New examples in every round; what failed is printed with the decorator that repeats it.
fuzz-api: $(DEV_MADE)
	@seed=$(FUZZ_SEED); end=$$(( $$(date +%s) + $(FUZZ_SECONDS) )); while test $$(date +%s) -lt $$end; do \
		$(PYTEST) -q -x --hypothesis-profile=fuzz --hypothesis-seed=$$seed tests/fuzz || { \
			echo "Again: $(PYTEST) --hypothesis-profile=fuzz --hypothesis-seed=$$seed tests/fuzz" >&2; exit 1; }; \
		seed=$$(( seed + 1 )); \
	done

clean:
	rm -rf build dist docs/_build demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f $(APP_MADE) $(DEV_MADE)
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
