# shellcheck shell=bash
# Shared by the tests of dumps, upgrades and replicas. Each takes a database with maintained tables
# of every kind somewhere else, and sees there that they go on following their base tables.
# Source it after lib.sh.

SUITE="$ROOT/tests/dump"
passed=0 failed=0

# make_tables MAJOR DIR DATABASE
make_tables() { run_psql "$1" "$2" "$3" -q -f - <"$SUITE/tables.sql" >/dev/null; }

# follow MAJOR DIR DATABASE: what changes of the base tables bring about.
follow() { run_psql "$1" "$2" "$3" -qAt -f - <"$SUITE/changes.sql" 2>&1 | sed 's/^psql:<stdin>:[0-9]*: //' || true; }

# expect NAME FILE COMMAND...: the command must print what is in the file.
expect() {
  local name="$1" expected="$2"
  shift 2
  if "$@" 2>&1 | diff -u --label expected --label "$name" "$expected" -; then
    echo "ok      $name"
    passed=$((passed + 1))
  else
    echo "FAILED  $name"
    failed=$((failed + 1))
  fi
}

# finish: the closing line, and the status.
finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
