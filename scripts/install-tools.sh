#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks: Debian packages, pinned packages
# of npm, the pinned linter and a pinned S3 server. A tool that can't be had fails the run.
# The one exception is the AWS emulator moto, which only pip has: without it its tests are
# skipped and say so.
set -euo pipefail
tools="${1:?usage: install-tools.sh FOLDER}"
golangci_version=v2.15.0
versitygw_version=v1.8.0

# command:package
wanted=(curl:curl gcc:gcc node:nodejs npm:npm rclone:rclone s3cmd:s3cmd patch:patch)
missing=()
for entry in "${wanted[@]}"; do
  command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
# Only root has /usr/sbin in its PATH.
has_nginx() { PATH="$PATH:/usr/sbin" command -v nginx >/dev/null; }
has_nginx || missing+=(nginx)
# A pooler, which tests start before PostgreSQL.
[ -x /usr/sbin/pgbouncer ] || missing+=(pgbouncer)
# The race detector links against the C library's headers.
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
# authlib belongs to Debian's own Python, whatever other Python is in front of it.
/usr/bin/python3 -c 'import authlib, requests' 2>/dev/null || missing+=(python3 python3-authlib python3-requests)
# The older generation of AWS's own clients, whatever newer one is in front of it.
[ -x /usr/bin/aws ] || missing+=(awscli)
/usr/bin/python3 -c 'import boto3' 2>/dev/null || missing+=(python3 python3-boto3)

# Tests start their own servers of PostgreSQL; its programs are not in the PATH.
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_postgres || missing+=(postgresql-common)

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
if [ "${#missing[@]}" -gt 0 ]; then
  echo "installing: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Debian starts the servers that it installs: an nginx on port 80 is not what was asked for.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin /usr/sbin/policy-rc.d
    trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
  has_nginx || { echo "nginx is installed, but there is no program of that name" >&2; exit 1; }
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

# An S3 server that checks signatures itself: an origin for the gateway's tests.
if ! go version -m "$tools/bin/versitygw" 2>/dev/null | grep -qP "\tmod\tgithub.com/versity/versitygw\t\Q$versitygw_version\E\t"; then
  echo "installing versitygw $versitygw_version (a few minutes, once)"
  CGO_ENABLED=0 GOBIN="$tools/bin" nice go install "github.com/versity/versitygw/cmd/versitygw@$versitygw_version"
fi

# AWS's JavaScript SDK and the emulators of npm, as the lock file has them. What its
# packages want to run while they are installed is not run.
npm_source="$(cd "$(dirname "$0")/../test/clients/npm" && pwd)"
if ! cmp -s "$npm_source/package-lock.json" "$tools/npm/installed-lock.json"; then
  echo "installing the packages of test/clients/npm"
  rm -rf "$tools/npm"
  mkdir -p "$tools/npm"
  cp "$npm_source/package.json" "$npm_source/package-lock.json" "$tools/npm/"
  (cd "$tools/npm" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp "$npm_source/package-lock.json" "$tools/npm/installed-lock.json"
fi

moto_version=5.2.1
if ! command -v moto_server >/dev/null && [ ! -x "$tools/moto/bin/moto_server" ]; then
  echo "installing moto $moto_version with pip"
  /usr/bin/python3 -c 'import venv, ensurepip' 2>/dev/null || "${as_root[@]}" apt-get install -y -qq --no-install-recommends python3-venv
  { /usr/bin/python3 -m venv "$tools/moto" &&
    timeout 600 "$tools/moto/bin/pip" install --quiet --retries 1 --timeout 30 "moto[server]==$moto_version"; } ||
    { rm -rf "$tools/moto"; echo "NOTE: no moto_server here and pip can't bring it: the tests against moto will be SKIPPED" >&2; }
fi
