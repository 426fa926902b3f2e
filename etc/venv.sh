# Sourced by etc/demo.sh and tests/run.sh: a virtual environment in the checkout, made where it is missing and brought up to
# date where the checkout has changed. Everything runs in the checkout's folder.

PYTHON=${PYTHON:-python3}

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# make_venv FOLDER: an empty virtual environment, unless it is there and works.
make_venv() {
    if "$1/bin/python" -m pip --version >/dev/null 2>&1; then return; fi
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        die "snqd needs Python 3.11 or later, and '$PYTHON' is none: install it, or set PYTHON to its path."
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || install_venv_package
    say "making the virtual environment $1"
    rm -rf "$1"
    "$PYTHON" -m venv "$1" || die "$PYTHON can't make a virtual environment in $PWD/$1: see above."
}

# Debian keeps ensurepip in a package of its own.
install_venv_package() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        die "'$PYTHON' can't make virtual environments: install python3-venv (as root: apt-get install python3-venv), then try again."
    say "installing python3-venv"
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv ||
        die "apt-get could not install python3-venv: see above."
}

# checksum FILE-OR-FOLDER...: changes with any source file among them.
checksum() {
    find "$@" -type f ! -name '*.pyc' ! -name dropin.cache -exec cksum {} + | LC_ALL=C sort | cksum
}

# pip_install FOLDER STAMP ARGUMENT...: `pip install ARGUMENT...` into the environment FOLDER, skipped where STAMP says it is done.
pip_install() {
    pip_folder=$1 pip_stamp=$2
    shift 2
    if [ "$(cat "$pip_folder/installed" 2>/dev/null)" = "$pip_stamp" ]; then return; fi
    say "installing into $pip_folder: $*"
    # setuptools ships whatever an earlier build has left there, files that are long deleted too.
    rm -rf build
    "$pip_folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
        die "pip could not install snqd into $PWD/$pip_folder: see above."
    rm -rf build
    # twistd looks for plug-ins in a cache that only somebody with the right to write there can refresh.
    "$pip_folder/bin/python" -c 'from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))' ||
        die "twisted can't load its plug-ins: see above."
    printf '%s\n' "$pip_stamp" >"$pip_folder/installed"
}
