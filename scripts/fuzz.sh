#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time (default 5s) each. A new
# target is found by itself: there is no list to forget.
set -euo pipefail
fuzztime="${1:-5s}"
cd "$(dirname "$0")/.."
count=0
while IFS=: read -r file name; do
  package="./$(dirname "$file")"
  echo "fuzz $package $name $fuzztime"
  go test -run '^$' -fuzz "^${name}\$" -fuzztime "$fuzztime" -fuzzminimizetime 5s "$package"
  count=$((count + 1))
done < <(git ls-files '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]*' | sed 's/func //')
test "$count" -gt 0 || { echo "no fuzz target found"; exit 1; }
echo "fuzz: $count targets passed"
