# Sourced by scripts/test, scripts/bench and scripts/canary: gives them a PostgreSQL.
#
# Afterwards DATABASE_URL is set and exported, or `database_missing` says why there is none. A cluster that was started
# here is stopped when the script ends, unless another run has come to use it meanwhile.

database_missing=""
database_started=""

provide_database() {
  local here log
  if [ -n "${DATABASE_URL:-}" ]; then
    echo "PostgreSQL: the one that DATABASE_URL names"
    return
  fi
  here=$(dirname "${BASH_SOURCE[0]}")
  log=$(mktemp)
  "$here/postgres" url >/dev/null 2>&1 || database_started=$here/postgres
  if DATABASE_URL=$("$here/postgres" start 2>"$log"); then
    export DATABASE_URL
    echo "PostgreSQL: a private one, $DATABASE_URL"
    hold_database "$here/.."
  else
    database_started=""
    database_missing=$(tail -n 1 "$log")
    unset DATABASE_URL
  fi
  rm -f "$log"
}

# Every run holds a shared lock while it lasts; who can turn it into an exclusive one is alone.
hold_database() { # root
  command -v flock >/dev/null || return 0
  mkdir -p "$1/.local"
  exec 8>"$1/.local/postgres-users"
  flock --shared 8
}

release_database() {
  [ -n "$database_started" ] || return 0
  if ! command -v flock >/dev/null || flock --exclusive --nonblock 8; then
    "$database_started" stop
  fi
}
