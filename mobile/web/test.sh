#!/usr/bin/env bash
# The page's tests: types, units, then the built page in headless Chromium. What cannot run here
# for want of a tool ends in a line that says SKIPPED and why; a test that fails always fails.
set -euo pipefail
cd "$(dirname "$0")"

skip() { echo "SKIPPED: $1"; exit 0; }

reason=$(./tools.sh node 2>&1) || skip "all tests of mobile/web ($reason)"
make --no-print-directory -C ../.. web
node node_modules/typescript/bin/tsc
node tests/unit.mjs
reason=$(./tools.sh chromium 2>&1) || skip "the tests of mobile/web in a browser ($reason)"
TF_CPP_MIN_LOG_LEVEL=2 ../../.venv/bin/python tests/make_models.py build/fixtures
node --test --test-reporter=spec tests/browser.test.mjs
