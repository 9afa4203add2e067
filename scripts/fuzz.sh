#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time (default 5s) each. A new
# target is found by itself: there is no list to forget.
set -euo pipefail
fuzztime="${1:-5s}"
cd "$(dirname "$0")/.."
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

fuzz() { # PACKAGE NAME
  go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" -fuzzminimizetime 5s "$1" >"$log" 2>&1
}

count=0
while IFS=: read -r file name; do
  package="./$(dirname "$file")"
  if ! fuzz "$package" "$name"; then
    # The end of the fuzzing time itself is now and then reported as a failure by Go.
    #. A finding leaves its input behind; then there is no
    # second try.
    if ! grep -q 'context deadline exceeded' "$log" || grep -q 'Failing input written' "$log" || ! fuzz "$package" "$name"; then
      cat "$log"
      echo "fuzz: $package $name failed"
      exit 1
    fi
  fi
  echo "fuzz $package $name: $(grep -o 'execs: [0-9]*' "$log" | tail -1)"
  count=$((count + 1))
done < <(git ls-files '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]*' | sed 's/func //')
test "$count" -gt 0 || { echo "no fuzz target found"; exit 1; }
echo "fuzz: $count targets passed"
