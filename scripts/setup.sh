#!/bin/sh
# Makes or refreshes .venv from a lock file: `setup.sh core` what pagefault needs to run, with pagefault itself
# (editable); `setup.sh dev` the tools for tests and lint on top, `setup.sh server` what the server needs,
# `setup.sh docs` the generator of the documentation. Called by the Makefile, from its directory.
set -eu

part=$1
recent='import sys, venv; sys.exit(sys.version_info < (3, 11))'

find_python() {
    for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if "$name" -c "$recent" 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

make_venv() {
    python=$(find_python)
    if command -v uv >/dev/null; then
        uv venv --quiet --clear --python "${python:-3.11}" .venv # without a Python of its own, uv fetches one
    elif [ -n "$python" ]; then
        "$python" -m venv --clear .venv
    else
        echo 'pagefault needs Python 3.11 or newer: install it, or install uv, and run this again.'
        exit 1
    fi
}

install() {
    if command -v uv >/dev/null; then
        uv pip install --quiet --python .venv/bin/python "$@"
    else
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
    fi
}

usable() {
    .venv/bin/python -c "$recent" 2>/dev/null &&
        { command -v uv >/dev/null || .venv/bin/python -m pip --version >/dev/null 2>&1; }
}

case $part in
core)
    echo 'Setting up .venv (once; a minute or two) ...'
    usable || make_venv
    install --require-hashes -r requirements.lock
    install --no-deps --no-build-isolation --editable .
    ;;
dev)
    echo 'Adding the tools for tests and lint ...'
    install --require-hashes -r requirements-dev.lock
    ;;
server)
    echo 'Adding what the server needs ...'
    install --require-hashes -r requirements-server.lock
    ;;
docs)
    echo 'Adding the generator of the documentation ...'
    install --require-hashes -r requirements-docs.lock
    ;;
esac
touch ".venv/.$part"
