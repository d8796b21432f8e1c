# Two commands are all it takes: `make run` tries it out, `make test` proves it. Both build with the same profile (dev:
# dependencies optimised, our own crate not), so that BoringSSL and the other dependencies are compiled once.

.PHONY: run test release lint fuzz bench docs docs-check clean packages test-packages help
.DEFAULT_GOAL := help

# Where cargo builds: $CARGO_TARGET_DIR, or what a cargo configuration says.
TARGET = $(or $(CARGO_TARGET_DIR),$(shell cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'))
EDGEWARD = $(TARGET)/debug/edgeward

help:
	@echo "make run      build, start conf/quickstart.yaml and say what to try; Ctrl-C stops"
	@echo "make test     every test (installs what the tests need)"
	@echo "make release  the tuned binary: target/release/edgeward"
	@echo "make lint     rustfmt and clippy"
	@echo "make fuzz     each fuzz target for a minute (SECONDS=60)"
	@echo "make bench    how long the parts of a request take, one by one"
	@echo "make docs     regenerate docs/reference.md and docs/policy.schema.json"

run: packages
	@echo "building; the first time takes some minutes, most of it BoringSSL ..."
	@cargo build
	@.ci/quickstart $(EDGEWARD)

test: packages test-packages
	@.ci/test $(EDGEWARD)

release: packages
	EDGEWARD_REVISION=$$(git rev-parse --short HEAD 2>/dev/null || true) cargo build --release
	@$(TARGET)/release/edgeward version

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

SECONDS ?= 60
fuzz: packages
	@.ci/fuzz $(SECONDS)

bench: packages
	cargo bench --bench micro

docs:
	@cargo build
	$(EDGEWARD) schema > docs/policy.schema.json
	$(EDGEWARD) schema --markdown > docs/reference.md

# Fails if `make docs` would change something.
docs-check:
	@$(EDGEWARD) schema | diff -u docs/policy.schema.json - && $(EDGEWARD) schema --markdown | diff -u docs/reference.md - \
		|| { echo "the reference is out of date: run \`make docs\`"; exit 1; }

packages:
	@.ci/packages cmake g++ libclang-dev pkg-config curl git

test-packages:
	@.ci/packages nginx-light nghttp2-client prometheus apache2-utils openssl redis-server systemd procps \
		modsecurity-crs python3 python3-yaml python3-jsonschema nodejs npm chromium
	@.ci/provider $(TARGET)/provider

clean:
	cargo clean
