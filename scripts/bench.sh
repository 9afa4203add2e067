#!/usr/bin/env bash
# Prints the table of speed and memory. Needs wrk and node; both are installed if they
# are missing, and the peer is installed from npm into .tools.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
for entry in wrk:wrk node:nodejs npm:npm nginx:nginx-light; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
peer=.tools/oidc-provider
mkdir -p "$peer"
cp test/bench/oidcprovider/package.json test/bench/oidcprovider/server.mjs "$peer"
[ -d "$peer/node_modules/oidc-provider" ] || npm install --prefix "$peer" --silent --no-audit --no-fund
# The origin and peer of the gateway; installed with the other tools, which takes minutes.
[ -x .tools/bin/versitygw ] || scripts/install-tools.sh "$PWD/.tools"
go build -o .tools/floor ./test/bench/floor
go run ./test/bench -countersign ./countersign -floor .tools/floor -oidc-provider "$peer" -versitygw .tools/bin/versitygw "$@"
