# Private PostgreSQL and Redis servers for the tests, on free loopback ports, in a temporary directory. Sourced by ./test.
# shellcheck shell=bash

# Where the running servers live; empty while there are none.
SERVERS_DIR=

# Finds the programs of PostgreSQL (PG_BIN) and the user they must run as: as root there is one (PG_RUN_AS, else empty),
# for PostgreSQL refuses to be root.
locate_postgres() {
    PG_BIN=$(find_postgres) || return 1
    PG_RUN_AS=
    if ((EUID == 0)); then
        PG_RUN_AS=nobody
        ! id postgres >/dev/null 2>&1 || PG_RUN_AS=postgres
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Runs a program of PostgreSQL as the user it must run as, who may have no access to the current directory.
as_postgres() {
    if [[ -n $PG_RUN_AS ]]; then
        (cd / && runuser -u "$PG_RUN_AS" -- "$@")
    else
        (cd / && "$@")
    fi
}

make_servers_dir() {
    local base=${TMPDIR:-/tmp}
    # The path of a Unix socket has at most 107 bytes.
    ((${#base} <= 60)) || base=/tmp
    SERVERS_DIR=$(mktemp -d -- "$base/arbion-test.XXXXXX")
    chmod 711 -- "$SERVERS_DIR"
    mkdir -m 700 -- "$SERVERS_DIR/postgres" "$SERVERS_DIR/redis"
    if [[ -n $PG_RUN_AS ]]; then chown "$PG_RUN_AS" -- "$SERVERS_DIR/postgres"; fi
}

# Durability stays on, as in production: tests kill this server and look at what is left.
start_postgres() {
    local home=$SERVERS_DIR/postgres attempt
    as_postgres "$PG_BIN/initdb" --pgdata="$home/data" --username=postgres --auth=trust --encoding=UTF8 \
        --locale=C.UTF-8 --no-sync >"$SERVERS_DIR/initdb.log" 2>&1 || { cat "$SERVERS_DIR/initdb.log" >&2; return 1; }
    for attempt in 1 2 3; do
        PG_PORT=$(free_port)
        as_postgres tee "$home/data/postgresql.auto.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $PG_PORT
unix_socket_directories = '$home'
max_connections = 300
fsync = on
synchronous_commit = on
timezone = 'UTC'
CONF
        if as_postgres "$PG_BIN/pg_ctl" start --wait --silent --timeout=60 --pgdata="$home/data" \
            --log="$home/postgres.log" >/dev/null; then
            return 0
        fi
        echo "PostgreSQL did not start on port $PG_PORT (attempt $attempt of 3)" >&2
    done
    tail -n 20 -- "$home/postgres.log" >&2
    return 1
}

start_redis() {
    local home=$SERVERS_DIR/redis attempt wait
    for attempt in 1 2 3; do
        REDIS_PORT=$(free_port)
        redis-server --bind 127.0.0.1 --port "$REDIS_PORT" --dir "$home" --save '' --appendonly no \
            --daemonize yes --pidfile "$home/redis.pid" --logfile "$home/redis.log" >/dev/null
        for ((wait = 0; wait < 50; wait++)); do
            if redis_answers; then return 0; fi
            sleep 0.1
        done
        echo "Redis did not start on port $REDIS_PORT (attempt $attempt of 3)" >&2
    done
    tail -n 20 -- "$home/redis.log" >&2
    return 1
}

redis_answers() {
    [[ $(redis-cli -h 127.0.0.1 -p "$REDIS_PORT" ping 2>/dev/null) == PONG ]]
}

postgres_answers() {
    "$PG_BIN/pg_isready" --quiet --host=127.0.0.1 --port="$PG_PORT"
}

# Starts both servers and tells the tests where they are. Tests that kill servers start their own: PG_BIN and PG_RUN_AS
# say how.
start_servers() {
    make_servers_dir && start_postgres && start_redis && export_servers
}

export_servers() {
    export TEST_DATABASE_URL="postgres://postgres@127.0.0.1:$PG_PORT/postgres"
    export TEST_REDIS_URL="redis://127.0.0.1:$REDIS_PORT"
}

stop_servers() {
    [[ -n $SERVERS_DIR ]] || return 0
    local pid_file=$SERVERS_DIR/redis/redis.pid pid wait
    if [[ -f $SERVERS_DIR/postgres/data/postmaster.pid ]]; then
        # Whatever is in it is thrown away with the directory: no need to end in order.
        as_postgres "$PG_BIN/pg_ctl" stop --mode=immediate --silent --pgdata="$SERVERS_DIR/postgres/data" || true
    fi
    if [[ -f $pid_file ]]; then
        pid=$(<"$pid_file")
        for ((wait = 0; wait < 50; wait++)); do
            kill -- "$pid" 2>/dev/null || break
            sleep 0.1
        done
    fi
    rm -rf -- "$SERVERS_DIR"
    SERVERS_DIR=
}

# The servers that a run has kept for the next one are noted in the file $1.
note_servers() {
    printf '%s\n' "$SERVERS_DIR" "$PG_PORT" "$REDIS_PORT" >"$1"
}

# Takes up the servers noted in the file $1, if both still answer.
use_noted_servers() {
    [[ -f $1 ]] || return 1
    { read -r SERVERS_DIR && read -r PG_PORT && read -r REDIS_PORT; } <"$1" || return 1
    if [[ -d $SERVERS_DIR ]] && postgres_answers && redis_answers; then
        export_servers
    else
        stop_servers
        rm -f -- "$1"
        return 1
    fi
}
