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

# Tests start their own servers of PostgreSQL; its programs are not in the PATH.
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_postgres || missing+=(postgresql-common)

if [ "${#missing[@]}" -gt 0 ]; then
  echo "installing: ${missing[*]}"
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! has_postgres; then
  # Without this the package makes a database of its own and starts it.
  "${as_root[@]}" sed -ri 's/^#?\s*create_main_cluster\s*=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  postgres=postgresql-15
  apt-cache show "$postgres" >/dev/null 2>&1 || postgres=postgresql
  echo "installing: $postgres"
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$postgres"
  has_postgres || { echo "$postgres is installed, but there is no /usr/lib/postgresql/*/bin/initdb" >&2; exit 1; }
fi

mkdir -p "$tools/bin"
if ! "$tools/bin/golangci-lint" version 2>/dev/null | grep -qF "${golangci_version#v}"; then
  echo "installing golangci-lint $golangci_version (a few minutes, once)"
  CGO_ENABLED=0 GOBIN="$tools/bin" go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$golangci_version"
fi
