#!/bin/sh
# Checks the units with systemd's own tools: `verify` finds nothing to complain about, and the exposure that
# `security` computes stays within a limit. Needs no running systemd. Usage: systemd/check.sh [LIMIT]
set -eu
limit=${1:-2.0}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# `verify` wants the binary to exist. Any will do.
mkdir "$work/edgeward.service.d"
for unit in edgeward.service edgeward.socket edgeward.service.d/socket-activation.conf; do
    sed 's|/usr/bin/edgeward|/bin/true|' "$here/$unit" > "$work/$unit"
done

complaints=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$work/edgeward.service" "$work/edgeward.socket" 2>&1 | grep -F edgeward || true)
if [ -n "$complaints" ]; then
    echo "systemd-analyze verify:" >&2
    echo "$complaints" >&2
    exit 1
fi

# With the drop-in and without. The threshold is in tenths.
tenths=$(awk "BEGIN { print int($limit * 10) }")
for variant in plain socket-activation; do
    if [ "$variant" = socket-activation ]; then
        cat "$here/edgeward.service.d/socket-activation.conf" >> "$work/edgeward.service"
    fi
    rm -rf "$work/edgeward.service.d"
    if ! report=$(systemd-analyze security --offline=true --threshold="$tenths" --no-pager "$work/edgeward.service" 2>&1); then
        echo "$report" >&2
        exit 1
    fi
    echo "$report" | sed -n "s/.*Overall exposure level for [^:]*: */$variant: exposure /p"
done
