#!/usr/bin/env bash
# Starts PostgreSQL, and on an empty data directory first makes the cluster, the database and what the scripts in
# /docker-entrypoint-initdb.d ask for. Settings: the POSTGRES_* variables of the official image, and their _FILE forms.
set -euo pipefail

INIT_SCRIPTS=/docker-entrypoint-initdb.d

say() { echo "entrypoint: $*" >&2; }
fail() { say "error: $*"; exit 1; }

# setting NAME [DEFAULT]: give the shell variable NAME its value, from NAME or from the file that NAME_FILE names.
setting() {
    local name=$1 default=${2-} file_name=$1_FILE
    local value=${!name-} file=${!file_name-}
    if [ -n "$value" ] && [ -n "$file" ]; then
        fail "both $name and $file_name are set; set one of them"
    fi
    if [ -n "$file" ]; then
        [ -r "$file" ] || fail "$file_name names $file, which $(id -un 2>/dev/null || id -u) cannot read"
        value=$(<"$file")
    fi
    printf -v "$name" '%s' "${value:-$default}"
    unset "$file_name"
}

read_settings() {
    setting POSTGRES_PASSWORD
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        fail "the data directory is empty and there is no superuser password: set POSTGRES_PASSWORD_FILE (or" \
            "POSTGRES_PASSWORD), or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in without one"
    fi
    if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
        say "warning: POSTGRES_HOST_AUTH_METHOD=trust lets everybody who reaches the port in without a password"
    fi
}

# initdb looks its user up; an arbitrary `--user` of the container has no entry in the password file.
name_unknown_user() {
    getent passwd "$(id -u)" >/dev/null && return
    local libraries=(/usr/lib/*/libnss_wrapper.so)
    NSS_WRAPPER_PASSWD=$(mktemp) NSS_WRAPPER_GROUP=$(mktemp)
    echo "postgres:x:$(id -u):$(id -g)::$PGDATA:/bin/false" >"$NSS_WRAPPER_PASSWD"
    echo "postgres:x:$(id -g):" >"$NSS_WRAPPER_GROUP"
    export LD_PRELOAD=${libraries[0]} NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
}

forget_unknown_user() {
    [ -n "${NSS_WRAPPER_PASSWD-}" ] || return 0
    rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
    unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
}

make_cluster() {
    local arguments=(--username="$POSTGRES_USER") extra=()
    # Word splitting is the documented meaning: several arguments in one variable, quotes included.
    eval "extra=($POSTGRES_INITDB_ARGS)"
    if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
        arguments+=(--waldir="$POSTGRES_INITDB_WALDIR")
    fi
    name_unknown_user
    # The password goes by a pipe: an argument would be visible to every process of the machine.
    initdb "${arguments[@]}" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${extra[@]+"${extra[@]}"} ||
        fail "initdb failed, see above"
    forget_unknown_user
}

allow_hosts() {
    local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# The server of the set-up listens on the local socket only: nobody may come in before everything is there.
start_private_server() {
    local options
    options=$(printf '%q ' "$@" -c listen_addresses='' -p "${PGPORT:-5432}")
    PGUSER=$POSTGRES_USER NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$options" -w -t 600 start
}

stop_private_server() {
    PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -m fast -w -t 600 stop
}

# sql [PSQL ARGUMENT...]: run what comes on standard input, or a file by -f, in the new database; stop at an error.
sql() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password \
        --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

make_database() {
    local wanted=$POSTGRES_DB POSTGRES_DB=postgres found
    found=$(sql -v name="$wanted" -At <<<"SELECT 1 FROM pg_database WHERE datname = :'name'")
    [ -n "$found" ] || sql -v name="$wanted" <<<'CREATE DATABASE :"name"'
}

run_init_scripts() {
    local script
    for script in "$INIT_SCRIPTS"/*; do
        [ -e "$script" ] || continue
        say "init script $script"
        case $script in
            *.sh)
                if [ -x "$script" ]; then
                    "$script"
                else
                    # shellcheck disable=SC1090 # the user's own scripts
                    . "$script"
                fi
                ;;
            *.sql) sql -f "$script" ;;
            *.sql.gz) gunzip -c "$script" | sql ;;
            *.sql.xz) xzcat "$script" | sql ;;
            *.sql.zst) zstd -dc "$script" | sql ;;
            *) say "ignored: $script is neither .sh nor .sql" ;;
        esac
    done
}

set_up() {
    read_settings
    make_cluster
    allow_hosts "$@"
    start_private_server "$@"
    make_database
    # Only the init scripts see these, as in the official image; the servers have started without the password.
    export POSTGRES_USER POSTGRES_DB POSTGRES_PASSWORD PGPASSWORD=$POSTGRES_PASSWORD
    run_init_scripts
    unset PGPASSWORD
    stop_private_server
    say "the database is set up"
}

own_directories() {
    local waldir=${POSTGRES_INITDB_WALDIR-}
    mkdir -p "$PGDATA" ${waldir:+"$waldir"}
    chmod 0700 "$PGDATA" 2>/dev/null || true
    chmod 3775 /var/run/postgresql 2>/dev/null || true
    [ "$(id -u)" = 0 ] || return 0
    find "$PGDATA" /var/run/postgresql ${waldir:+"$waldir"} \! -user postgres -exec chown postgres '{}' +
}

wants_server() {
    [ "$1" = postgres ] || return 1
    local argument
    for argument in "$@"; do
        case $argument in
            -'?' | --help | --describe-config | -V | --version | -C) return 1 ;;
        esac
    done
}

main() {
    if [ $# -eq 0 ] || [ "${1:0:1}" = - ]; then
        set -- postgres "$@"
    fi
    if wants_server "$@"; then
        own_directories
        if [ "$(id -u)" = 0 ]; then
            exec gosu postgres "${BASH_SOURCE[0]}" "$@"
        fi
        if [ -s "$PGDATA/PG_VERSION" ]; then
            say "$PGDATA holds a database; POSTGRES_* settings do not apply"
        else
            set_up "${@:2}"
        fi
    fi
    # The server needs no password of its own: it must not stand in /proc/1/environ.
    unset POSTGRES_PASSWORD
    exec "$@"
}

main "$@"
