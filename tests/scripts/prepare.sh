# Finds what the tests need on this machine, and installs what is missing. Sourced by ./test.
# shellcheck shell=bash

# The Debian package of each command that the tests need.
declare -rA DEBIAN_PACKAGE=(
    [initdb]=postgresql
    [redis-server]=redis-server
    [redis-cli]=redis-tools
    [python3]=python3
    [venv]=python3-venv
    [cc]=build-essential
    [curl]=curl
    [chromium]=chromium
    [chromedriver]=chromium-driver
    [node]=nodejs
    [npm]=npm
)

# Prints the directory of PostgreSQL's programs: the newest that Debian installed, else that of the initdb in PATH.
find_postgres() {
    local initdb
    initdb=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
    if [[ -z $initdb ]]; then
        initdb=$(command -v initdb) || return 1
        initdb=$(readlink -f -- "$initdb")
    fi
    dirname -- "$initdb"
}

has() {
    case $1 in
        initdb) find_postgres >/dev/null ;;
        venv) python3 -c 'import venv, ensurepip' 2>/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing_packages() {
    local command
    for command in "${!DEBIAN_PACKAGE[@]}"; do
        has "$command" || printf '%s\n' "${DEBIAN_PACKAGE[$command]}"
    done | sort -u
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n -- "$@"; fi
}

# RUNLEVEL=1 keeps the packages from starting servers of their own.
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install --yes --quiet --no-install-recommends "$@"
}

install_missing() {
    local packages
    mapfile -t packages < <(missing_packages)
    ((${#packages[@]} > 0)) || return 0
    echo "installing ${packages[*]}"
    if ! command -v apt-get >/dev/null || { ((EUID != 0)) && ! sudo -n true 2>/dev/null; }; then
        echo "these Debian packages are missing and cannot be installed from here: ${packages[*]}" >&2
        return 1
    fi
    # A fresh machine has no package lists yet; one with stale lists may ask for versions that are gone.
    apt_install "${packages[@]}" || { as_root apt-get update --quiet && apt_install "${packages[@]}"; } || return 1
    mapfile -t packages < <(missing_packages)
    if ((${#packages[@]} > 0)); then
        echo "still missing after the installation: ${packages[*]}" >&2
        return 1
    fi
}

# Makes the private Python environment at $1 hold exactly the pinned packages of the file $2.
prepare_python() {
    local venv=$1 requirements=$2
    if cmp --silent -- "$requirements" "$venv/installed.txt" && "$venv/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    rm -rf -- "$venv"
    python3 -m venv -- "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" &&
        cp -- "$requirements" "$venv/installed.txt"
}

# Makes the directory $1 hold exactly the locked npm packages of the directory $2. None of them may run a script here.
prepare_node() {
    local directory=$1 manifests=$2
    if cmp --silent -- "$manifests/package-lock.json" "$directory/installed.json" &&
        cmp --silent -- "$manifests/package.json" "$directory/package.json"; then
        return 0
    fi
    rm -rf -- "$directory"
    mkdir -p -- "$directory" &&
        cp -- "$manifests/package.json" "$manifests/package-lock.json" "$directory" &&
        npm ci --prefix "$directory" --ignore-scripts --no-audit --no-fund --loglevel=error &&
        cp -- "$manifests/package-lock.json" "$directory/installed.json"
}

require_cargo() {
    command -v cargo >/dev/null && return 0
    # An installation of this very login shell may not be in PATH yet.
    PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    command -v cargo >/dev/null && return 0
    echo "cargo is missing: install Rust with https://rustup.rs, which then takes the version in rust-toolchain.toml" >&2
    return 1
}
