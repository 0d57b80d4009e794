# The verbs a person types. CMake does the building; this file only strings the steps together.
#
#   make demo     everything from a bare Debian 12 to a trained model, a report and a submission
#   make test     the same set-up, then every test
#   make help     the other verbs

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

PRESET ?= release
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
CMAKE_ARGS ?=
CTEST_ARGS ?=
FUZZ_SECONDS ?= 60
MODEL ?= smollm2
CLANG_FORMAT ?= clang-format-19

# Compiler output is shared between clones of the project in different folders.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

# $(call deps,GROUP...) installs Debian packages that are missing; SKIP_DEPS=1 leaves them to you.
deps = $(if $(SKIP_DEPS),,@scripts/install_deps.sh $(1))
sources = git ls-files -z 'src/*.cpp' 'src/*.h' 'apps/*.cpp' 'apps/*.h' 'tests/*.cpp' 'tests/*.h' \
          'bench/*.cpp' 'fuzz/*.cpp' 'examples/*.cpp'

.PHONY: help
help: ## this list
	@echo "make VERB, where VERB is one of"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 16 | sed 's/^/  /'
	@echo "Settings: PREFIX=$(PREFIX) JOBS=$(JOBS) PRESET=$(PRESET) CMAKE_ARGS= CTEST_ARGS= FUZZ_SECONDS=$(FUZZ_SECONDS) MODEL=$(MODEL) SKIP_DEPS="

# The first configuration leaves the tests out, so that a newcomer compiles only the program; once
# `make test` has switched them on they stay on.
.PHONY: configure
configure:
	$(call deps,build)
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	  cmake --preset $(PRESET) $(if $(wildcard build/CMakeCache.txt),,-DAGON_BUILD_TESTS=OFF) $(CMAKE_ARGS) >"$$log" 2>&1 \
	  || { cat "$$log"; exit 1; }

.PHONY: build
build: configure ## the program, at build/agon
	@cmake --build build -j $(JOBS) --target agon_ready
	@echo "The program is build/agon"

.PHONY: demo
demo: build ## train on real votes, report, and write a submission: see what agon does
	@scripts/demo.sh build

.PHONY: model
model: ## fetch a small real language model into models/ (MODEL=smollm2 or gemma3-270m)
	$(call deps,model)
	@python3 scripts/fetch_model.py $(MODEL)

.PHONY: test
test: ## every test
	$(call deps,build test)
	cmake --preset $(PRESET) -DAGON_BUILD_TESTS=ON $(CMAKE_ARGS)
	cmake --build build -j $(JOBS)
	ctest --test-dir build -j $(JOBS) --output-on-failure $(CTEST_ARGS)

.PHONY: test-asan
test-asan: ## every test with address and undefined-behaviour sanitizers (clang)
	$(call deps,build test dev)
	cmake --preset asan -DAGON_BUILD_TESTS=ON $(CMAKE_ARGS)
	cmake --build --preset asan -j $(JOBS)
	ctest --preset asan -j $(JOBS) $(CTEST_ARGS)

# The program alone, and quick to compile, so that .ci/run can afford it. Leaks are left to test-asan: to look for them
# takes rights that not every machine gives.
.PHONY: test-load
test-load: ## the server under load and attack, with the address sanitizer (clang)
	$(call deps,build test dev)
	cmake --preset load -DAGON_BUILD_TESTS=ON $(CMAKE_ARGS)
	cmake --build --preset load -j $(JOBS) --target agon_program
	ctest --preset load -j $(JOBS) -R '^serving\.' $(CTEST_ARGS)

.PHONY: test-tsan
test-tsan: ## every test with the thread sanitizer (clang)
	$(call deps,build test dev)
	cmake --preset tsan -DAGON_BUILD_TESTS=ON $(CMAKE_ARGS)
	cmake --build --preset tsan -j $(JOBS)
	ctest --preset tsan -j $(JOBS) $(CTEST_ARGS)

.PHONY: test-clang
test-clang: ## every test, built with clang 19
	$(call deps,build test dev)
	cmake --preset clang -DAGON_BUILD_TESTS=ON -DAGON_WERROR=ON $(CMAKE_ARGS)
	cmake --build --preset clang -j $(JOBS)
	ctest --preset clang -j $(JOBS) $(CTEST_ARGS)

.PHONY: fmt
fmt: ## format the C++ sources
	$(call deps,fmt)
	@$(sources) | xargs -0 -r $(CLANG_FORMAT) -i

.PHONY: fmt-check
fmt-check: ## fail when a C++ source is not formatted
	$(call deps,fmt)
	@$(sources) | xargs -0 -r $(CLANG_FORMAT) --dry-run --Werror
	@echo "Every C++ source is formatted"

.PHONY: lint
lint: ## clang-tidy over the C++ sources
	$(call deps,build test dev)
	@cmake --preset clang >/dev/null
	@git ls-files -z 'src/*.cpp' 'apps/*.cpp' | xargs -0 -r -n 4 -P $(JOBS) clang-tidy-19 -p build-clang --quiet

.PHONY: layers
layers: ## fail when an include goes against the arrows of docs/ARCHITECTURE.md
	$(call deps,test)
	@python3 scripts/check_layers.py

.PHONY: check
check: layers fmt-check lint ## layers, format and lint

.PHONY: bench
bench: ## speed and memory, beside peers in Python (BENCH_ARGS=--quick for a short run)
	$(call deps,build bench)
	@cmake --preset bench $(CMAKE_ARGS) >/dev/null
	@cmake --build --preset bench -j $(JOBS)
	@python3 bench/run.py --build build-bench $(BENCH_ARGS)

.PHONY: fuzz
fuzz: ## fuzz every reader for FUZZ_SECONDS each (clang)
	$(call deps,build dev)
	@cmake --preset fuzz $(CMAKE_ARGS) >/dev/null
	@cmake --build --preset fuzz -j $(JOBS)
	@scripts/fuzz.sh build-fuzz $(FUZZ_SECONDS)

.PHONY: install
install: build ## program, library, headers, man page and default model below PREFIX
	@cmake --install build --prefix "$(PREFIX)" >build/install.log || { cat build/install.log; exit 1; }
	@echo "Installed below $(PREFIX)"

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build build-debug build-clang build-asan build-load build-tsan build-fuzz build-bench demo
