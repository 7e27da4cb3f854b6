# Sourced by run, test and tests/clients/run: installs what a Debian machine
# with only a Rust toolchain lacks, which is a linker and PostgreSQL's programs,
# and Python and Node for the last of them.

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "Installing packages needs root; run this once as root: $*" >&2
        return 1
    fi
}

has_postgres() {
    [ -n "${SALUS_PG_BIN:-}" ] && [ -x "$SALUS_PG_BIN/initdb" ] && return 0
    local bin
    for bin in /usr/lib/postgresql/*/bin; do
        [ -x "$bin/initdb" ] && return 0
    done
    command -v initdb >/dev/null 2>&1
}

# Installs Debian packages, or says which ones are missing where it cannot.
install_packages() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "Please install: $*" >&2
        return 1
    fi
    echo "Installing $*" >&2
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

setup() {
    if ! command -v cargo >/dev/null 2>&1; then
        echo "Salus needs a Rust toolchain (https://rustup.rs), version 1.95 or later." >&2
        return 1
    fi
    local packages=()
    command -v cc >/dev/null 2>&1 || packages+=(gcc libc6-dev)
    has_postgres || packages+=(postgresql)
    [ ${#packages[@]} = 0 ] && return 0
    # Debian would start a cluster of its own beside the package; Salus runs a
    # private one, so that one is not wanted.
    if [[ " ${packages[*]} " == *" postgresql "* ]] && command -v apt-get >/dev/null 2>&1; then
        as_root mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false" |
            as_root tee /etc/postgresql-common/createcluster.d/salus.conf >/dev/null
    fi
    install_packages "${packages[@]}"
}

# Node with its package manager, from version 18 on.
setup_node() {
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 && return 0
    install_packages nodejs npm
}

# Python with virtual environments, which Debian packages apart from it.
setup_python() {
    python3 -c "import ensurepip, venv" >/dev/null 2>&1 && return 0
    install_packages python3 python3-venv
}
