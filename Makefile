# Each target is enough by itself on a fresh machine with Python 3.11+ (and its venv module) and make.
PYTHON ?= python3
BIN := .venv/bin
# uv installs the committed lock; where the machine has none, it is itself installed into the venv.

.PHONY: demo test check format lint types imports soak bench lock clean

demo: .venv/ready  ## the main job on a real shop's data, from import to report
	$(BIN)/mailer demo demo

test: .venv/ready  ## the tests, on real SQLite, PostgreSQL, SMTP and HTTP
	$(BIN)/pytest -n 3 --dist worksteal -m "not soak"

check: .venv/ready lint types imports test  ## all that CI does

lint: .venv/ready
	$(BIN)/ruff format --check engine tests migrations benchmarks
	$(BIN)/ruff check engine tests migrations benchmarks

format: .venv/ready
	$(BIN)/ruff format engine tests migrations benchmarks
	$(BIN)/ruff check --fix engine tests migrations benchmarks

types: .venv/ready
	$(BIN)/mypy

imports: .venv/ready
	$(BIN)/lint-imports

# The story of real mail servers needs root and: apt-get install --no-install-recommends postfix postfix-pcre dovecot-imapd postgrey
soak: .venv/ready  ## the stories at full size
	$(BIN)/pytest -m soak --timeout 3600

bench: .venv/ready  ## speed and memory against what is promised; writes benchmarks/results.md
	$(BIN)/python -m benchmarks

lock: .venv/ready  ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --all-extras --group dev pyproject.toml -o requirements.lock

.venv/ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv build dist
