#!/usr/bin/env bash
# Checks the format, builds everything for debugging, runs all tests, and repeats the summary last.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/format.sh check

# Compose files are checked where the client is there to do it.
for compose in "docker compose" docker-compose; do
  if $compose version >/dev/null 2>&1; then
    HEADWATER_POSTGRES_PASSWORD=check $compose -f docker-compose.yml config >/dev/null
    echo "docker-compose.yml is sound ($compose config)"
    break
  fi
done

# The tests of the document server need one. In CI they fail without it; elsewhere they are skipped, and say so.
if server=$(scripts/document-server.sh); then
  export HEADWATER_TEST_MONGODB=$server
elif [[ ${CI:-} == true ]]; then
  echo "There is no document server to test against." >&2
  exit 1
else
  echo "note: without a document server the tests of HeadwaterMongoDB are skipped" >&2
fi

swift build --build-tests

output=$(mktemp)
trap 'rm -f "$output"' EXIT
status=0
# Not all tests at once, or the many that wait for one another's processor time out.
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:-8}
# All tests are Swift Testing; XCTest would add a summary of no tests.
swift test --skip-build --disable-xctest "$@" 2>&1 | tee "$output" || status=$?

echo
# Failures once more, so that nobody has to search for them.
grep -E ' Test .* (recorded an issue at|failed after) ' "$output" | grep -v ' Test run with ' | head -n 40 || true
summary=$(grep -E ' Test run with [0-9]+ tests? ' "$output" | tail -n 1 || true)
if [[ -z $summary ]]; then
  echo "The test run ended without a summary (status $status)." >&2
  exit 1
fi
echo "$summary"
exit "$status"
