#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks: Debian packages, the pinned
# linter. A tool that can't be had fails the run; nothing is skipped.
set -euo pipefail
tools="${1:?usage: install-tools.sh FOLDER}"
golangci_version=v2.15.0

# command:package
wanted=(curl:curl gcc:gcc)
missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
# The race detector links against the C library's headers.
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
# authlib belongs to Debian's own Python, whatever other Python is in front of it.
/usr/bin/python3 -c 'import authlib, requests' 2>/dev/null || missing+=(python3 python3-authlib python3-requests)

if [ "${#missing[@]}" -gt 0 ]; then
  echo "installing: ${missing[*]}"
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

mkdir -p "$tools/bin"
if ! "$tools/bin/golangci-lint" version 2>/dev/null | grep -qF "${golangci_version#v}"; then
  echo "installing golangci-lint $golangci_version (a few minutes, once)"
  CGO_ENABLED=0 GOBIN="$tools/bin" go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$golangci_version"
fi
