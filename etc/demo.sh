#!/bin/sh
# Installs this checkout into .venv and runs the daemon on etc/snq.ini in the foreground; Ctrl-C stops it.
# Arguments go to `twistd snqd`, for example --threads 1.
set -eu
cd "$(dirname "$0")/.."
. etc/venv.sh

make_venv .venv
pip_install .venv "$(checksum snqd twisted setup.cfg pyproject.toml)" .

cat <<TEXT

The daemon starts; Ctrl-C stops it.
  configuration  $PWD/etc/snq.ini
  state          $PWD/etc/state (jobs, dead letters, control socket)
In a second terminal:
  cd $PWD
  .venv/bin/snqctl --config etc/snq.ini enqueue alpha greet '{"name": "Ada"}' --count 1000 && .venv/bin/snqctl --config etc/snq.ini status

TEXT
# No pid file: in the foreground nobody reads it, and snqd itself refuses a second daemon on the same state.
exec .venv/bin/twistd -n --pidfile= snqd --config etc/snq.ini "$@"
