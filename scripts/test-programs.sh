#!/usr/bin/env bash
# Installs the programs that the tests drive from outside, and only those that are missing.
set -euo pipefail

# program:package; the tests use each as a check that shares no code with Twinlock.
wanted=(
    oathtool:oathtool        # RFC 6238 codes
    kcat:kcat                # a second Kafka client
    faketime:faketime        # another clock for one process
    nginx:nginx-light        # auth_request against /v1/access
    chromium:chromium        # pages in a browser
    java:default-jre-headless # runs the Kafka broker
    mvn:maven                # fetches the broker's jars
)

missing=()
for pair in "${wanted[@]}"; do
    PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
# Chinese pages are drawn as boxes without these, and a font is no program to look for.
compgen -G '/usr/share/fonts/opentype/noto/NotoSansCJK*' >/dev/null || missing+=(fonts-noto-cjk)

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing test programs; install them with: sudo apt-get install ${missing[*]}" >&2
    # Away from CI the tests that need them say so themselves; the others are worth running.
    [ -z "${CI:-}" ] || exit 1
    exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]}"
# A service that starts by itself would take port 80: nginx is only driven by the tests.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f "$log" /usr/sbin/policy-rc.d' EXIT
fi
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    exit 1
fi
