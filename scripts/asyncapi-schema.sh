#!/bin/sh
# Fetches the official AsyncAPI 3.0.0 schema, with its licence, for the tests.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
target="$here/tests/contracts/asyncapi"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent @asyncapi/specs@6.11.1 >/dev/null
tar -xzf ./*.tgz
cp package/schemas/3.0.0.json package/LICENSE package/NOTICE "$target"
