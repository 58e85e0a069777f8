#!/bin/sh
# Brings the scripts of others that the inspector ships into the package, from their npm packages, and checks
# their hashes. To move to another version: change it here with its hash, run this, and look at the diff.
set -eu
cd "$(dirname "$0")/.."

htmx=2.0.11  # 0BSD; 2.x is the settled line, 4.x changes attributes and events
htmx_sha256=d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717
target=src/pagefault/server/inspector/static/vendor

command -v npm >/dev/null || {
    echo 'scripts/vendor.sh needs npm on PATH; install Node.js' >&2
    exit 1
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm pack --silent --pack-destination "$folder" "htmx.org@$htmx" >/dev/null
tar -xzf "$folder/htmx.org-$htmx.tgz" -C "$folder"
echo "$htmx_sha256  $folder/package/dist/htmx.min.js" | sha256sum --check --quiet
cp "$folder/package/dist/htmx.min.js" "$target/htmx.min.js"
cp "$folder/package/LICENSE" "$target/htmx.LICENSE.txt"
echo "htmx $htmx"
