# Everything a newcomer needs: `make run` tries it out, `make test` proves it.
# One profile (dev) serves both, so that BoringSSL and the other dependencies are compiled once.

.PHONY: run test release lint fuzz docs clean packages test-packages help
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
EDGEWARD := $(TARGET)/debug/edgeward

help:
	@echo "make run      build, and start conf/quickstart.yaml"
	@echo "make test     every test (installs what the tests need)"
	@echo "make release  the tuned binary: $(TARGET)/release/edgeward"
	@echo "make lint     rustfmt and clippy"
	@echo "make docs     regenerate docs/reference.md and docs/policy.schema.json"

run: packages
	@echo "building; the first time takes some minutes ..."
	cargo build
	@.ci/quickstart $(EDGEWARD)

test: packages test-packages
	cargo build --tests
	.ci/test $(EDGEWARD)

release: packages
	cargo build --release

lint:
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

docs:
	cargo run -- schema > docs/policy.schema.json
	cargo run -- schema --markdown > docs/reference.md

packages:
	@.ci/packages cmake g++ libclang-dev pkg-config curl

test-packages:
	@.ci/packages nginx-light nghttp2-client prometheus openssl python3

clean:
	cargo clean
