#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time (default 5s) each. A new
# target is found by itself: there is no list to forget.
set -euo pipefail
fuzztime="${1:-5s}"
cd "$(dirname "$0")/.."
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# Go now and then reports the end of the fuzzing time itself as a failure: "context
# deadline exceeded", and no failing input. That is tried again; a finding leaves its
# input behind, and fails at once.
fuzz() { # PACKAGE NAME
  for attempt in 1 2 3; do
    go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" -fuzzminimizetime 5s "$1" >"$log" 2>&1 && return
    grep -q 'context deadline exceeded' "$log" || return 1
    if grep -q 'Failing input written' "$log"; then return 1; fi
    echo "fuzz $1 $2: attempt $attempt ended at its deadline"
  done
  return 1
}

count=0
while IFS=: read -r file name; do
  package="./$(dirname "$file")"
  if ! fuzz "$package" "$name"; then
    cat "$log"
    echo "fuzz: $package $name failed"
    exit 1
  fi
  echo "fuzz $package $name: $(grep -o 'execs: [0-9]*' "$log" | tail -1)"
  count=$((count + 1))
done < <(git ls-files '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]*' | sed 's/func //')
test "$count" -gt 0 || { echo "no fuzz target found"; exit 1; }
echo "fuzz: $count targets passed"
