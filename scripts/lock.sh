#!/bin/sh
# Writes the lock files from pyproject.toml: every version pinned, every file by its hash, for all platforms
# and Pythons at once, no registry named. Options go to uv: `lock.sh --upgrade` moves every pin.
set -eu
cd "$(dirname "$0")/.."

command -v uv >/dev/null || {
    echo 'make lock needs uv on PATH: pip install uv' >&2
    exit 1
}

compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' "$@"
}

# The build back end is locked with the core: installing pagefault itself then fetches nothing unpinned.
compile pyproject.toml --group build --output-file requirements.lock "$@"
compile --group server --constraint requirements.lock --output-file requirements-server.lock "$@"
compile --group dev --constraint requirements.lock --constraint requirements-server.lock --output-file requirements-dev.lock "$@"
compile --group docs --constraint requirements.lock --constraint requirements-dev.lock --output-file requirements-docs.lock "$@"
