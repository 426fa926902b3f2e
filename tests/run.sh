#!/bin/sh
# Everything that must hold before a change lands: lint, format, types, documentation and the whole suite.
# Arguments go to pytest. Exits 1 if anything failed, after all of it ran.
#
# The suite runs against the checkout, by an editable install: what is edited is what is tested, in the daemons and snqctl
# processes that tests start too. What `pip install .` would ship is a test's own business (tests/integration/test_packaging.py).
set -eu
cd "$(dirname "$0")/.."
. etc/venv.sh

make_venv .venv-test
# The compat mode, since twistd finds a plug-in only in a folder on its path.
pip_install .venv-test "$(checksum setup.cfg pyproject.toml)" --editable '.[test]' --config-settings editable_mode=compat

failed=
step() {
    say "$*"
    if ! "$@" </dev/null; then failed="$failed
  $*"; fi
}

# need PROGRAM PACKAGE: a server or program that tests start for themselves. Without it they are skipped, and fail in CI.
need() {
    if command -v "$1" >/dev/null; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "$1 is missing, so its tests are skipped (as root: apt-get install $2)"
        return
    fi
    say "installing $2"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$2"; } ||
        say "apt-get could not install $2: see above"
}
need redis-server redis-server
need redis-sentinel redis-sentinel
need pg_ctlcluster postgresql
need mariadbd mariadb-server
need rabbitmq-server rabbitmq-server
need activemq activemq
need php php-cli
need faketime faketime

PATH=$PWD/.venv-test/bin:$PATH
export PATH
step ruff check .
step ruff format --check .
step mypy
step sphinx-build -W -n -q --keep-going -b html docs docs/_build/html
step pytest tests/unit/test_layers.py tests/unit/test_map.py -q
# In two processes, since tests wait more than they work. One file's tests of one server stay together (tests/conftest.py).
step pytest -n 2 --dist loadgroup "$@"

if [ -n "$failed" ]; then die "
FAILED:$failed"; fi
say "all passed"
