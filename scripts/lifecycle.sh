# shellcheck shell=bash
# Shared by the tests of dumps, upgrades, replicas and crashes. Source it after lib.sh.
#
# Most of these tests move a database with maintained tables of every kind, and check there that the tables keep
# following their base tables.

SUITE="$ROOT/tests/dump"
passed=0 failed=0

# make_tables MAJOR DIR DATABASE
make_tables() { run_psql "$1" "$2" "$3" -q -f - <"$SUITE/tables.sql" >/dev/null; }

# follow MAJOR DIR DATABASE: changes the base tables, and prints the effects.
follow() { run_psql "$1" "$2" "$3" -qAt -f - <"$SUITE/changes.sql" 2>&1 | sed 's/^psql:<stdin>:[0-9]*: //' || true; }

# result NAME WRONG: counts and prints a result; an empty WRONG means passed.
result() {
  if [ -z "$2" ]; then
    echo "ok      $1"
    passed=$((passed + 1))
  else
    printf 'FAILED  %s\n%s\n' "$1" "$2"
    failed=$((failed + 1))
  fi
}

# expect NAME FILE COMMAND...: the command must print the content of the file.
expect() {
  result "$1" "$("${@:3}" 2>&1 | diff -u --label expected --label "$1" "$2" - || true)"
}

# until_true COMMAND...: waits at most half a minute until the command prints t.
until_true() {
  local attempt
  for attempt in {1..600}; do
    [ "$("$@" 2>/dev/null || true)" != t ] || return 0
    sleep 0.05
  done
  echo "not true at $attempt attempts: $*"
  return 1
}

# finish: prints the last line; sets the exit status.
finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
