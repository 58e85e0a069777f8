#!/bin/sh
# Runs the quick tests with the lowest and the newest Python that uv can bring, where uv is on PATH. A Python that
# .venv has is left out, for its tests were run already; one that cannot be fetched, or that a dependency has no
# wheel for, is reported and left out.
set -eu
cd "$(dirname "$0")/.."

command -v uv >/dev/null || {
    echo 'uv is not on PATH: only the Python of .venv was tested.'
    exit 0
}

present=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
lowest=$(sed -n 's/^requires-python = ">=\(.*\)"/\1/p' pyproject.toml)
newest=$(uv python list --only-downloads 2>/dev/null |
    sed -n 's/^cpython-\(3\.[0-9]*\)\.[0-9]*-.*/\1/p' | sort -t. -k2 -n | tail -1) # no previews: 3.16.0a2

for version in $(printf '%s\n' "$lowest" "${newest:-$lowest}" | sort -u); do
    [ "$version" = "$present" ] && continue
    environment=build/python-$version
    uv venv --quiet --clear --python "$version" "$environment" 2>/dev/null || {
        echo "Python $version is not here and cannot be fetched: not tested."
        continue
    }
    uv pip install --quiet --python "$environment" --require-hashes -r requirements.lock -r requirements-dev.lock || {
        echo "Python $version: a dependency cannot be installed, see above: not tested."
        continue
    }
    uv pip install --quiet --python "$environment" --no-deps --no-build-isolation --editable .
    echo "Python $version:"
    "$environment/bin/python" -m pytest -n auto -m 'not slow' --hypothesis-profile quick
done
