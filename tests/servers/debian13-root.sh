#!/bin/bash
# Lays a Debian 13 root with current servers beside this machine's own system, and ROOT.in13, which runs a command there.
# Needs root and a Debian whose apt has a mirror. Run again, it adds only what is missing.
#
#   debian13-root.sh [PACKAGE ...]       default: the servers that the tests marked "today" start
#   SNQD_TRIXIE=FOLDER                   the root, by default /var/lib/snqd-trixie
set -euo pipefail

ROOT=${SNQD_TRIXIE:-/var/lib/snqd-trixie}
SERVERS="procps rabbitmq-server"
WANTED=${*:-$SERVERS}
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
LOGS=${TMPDIR:-/tmp}

fail() { echo "debian13-root.sh: $*" >&2; exit 1; }

# apt_get ARGUMENTS: on this machine; waits for another apt-get that holds the lock.
apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }

# mirror_of CODENAME: a mirror of this machine's own apt, whatever the format of its sources; empty if there is none.
mirror_of() {
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk -v codename="$1" '$1 == codename && !found {print $2; found = 1}'
}

# Only keys that the installed debian-archive-keyring has: an older one is brought up to date first.
knows_trixie() { [ -e /usr/share/keyrings/debian-archive-trixie-stable.gpg ]; }

source_entry() { printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$KEYS"; }

lay_root() {
    command -v debootstrap >/dev/null || { apt_get update && apt_get install -y --no-install-recommends debootstrap; }
    here=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(mirror_of "$here")
    security=$(mirror_of "$here-security")
    [ -n "$mirror" ] || fail "apt knows no mirror of $here: run apt-get update"
    knows_trixie || apt_get install -y debian-archive-keyring
    knows_trixie || fail "this machine's debian-archive-keyring does not know trixie: upgrade it"

    rm -rf --one-file-system "$ROOT" # what an interrupted run has left
    debootstrap --variant=minbase --include=ca-certificates --keyring="$KEYS" trixie "$ROOT" "$mirror" \
        >"$LOGS/debian13-debootstrap.log" 2>&1 || { tail -5 "$LOGS/debian13-debootstrap.log" >&2; fail "no root"; }
    rm -f "$ROOT/etc/apt/sources.list"
    cp "$KEYS" "$ROOT$KEYS" # trixie's own has another name
    {
        source_entry "$mirror" "trixie trixie-updates"
        [ -z "$security" ] || source_entry "$security" trixie-security
    } >"$ROOT/etc/apt/sources.list.d/debian.sources"
    # No package may start its service.
    printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
    chmod 755 "$ROOT/usr/sbin/policy-rc.d"
    printf 'path-exclude /usr/share/%s/*\n' doc man locale >"$ROOT/etc/dpkg/dpkg.cfg.d/small"
    printf '%sAPT::Keep-Downloaded-Packages "false";\n' "" Binary::apt-get:: >"$ROOT/etc/apt/apt.conf.d/90small"
    touch "$ROOT/.laid"
}

# in13 [-u UID] COMMAND...: run COMMAND in the root, on this machine's network. Its mounts are in a namespace of
# COMMAND's own, so nothing stays mounted. Each step is an exec: the process that the caller has started is COMMAND.
# The folder SNQD_RUN (default /tmp) is the same inside and outside.
write_in13() {
    cat >"$ROOT.in13.new" <<'IN13'
#!/bin/sh
R=${SNQD_TRIXIE:-@ROOT@}; W=${SNQD_RUN:-/tmp}; U=0:0
if [ "$1" = -u ]; then U=$2:$2; shift 2; fi
exec unshare --mount --propagation private sh -c '
R=$1; W=$2; U=$3; shift 3
mkdir -p "$R$W" && mount -t proc proc "$R/proc" && mount --rbind /dev "$R/dev" && mount --bind "$W" "$R$W" || exit 71
exec chroot --userspec="$U" "$R" "$@"' in13 "$R" "$W" "$U" "$@"
IN13
    sed -i "s#@ROOT@#$ROOT#" "$ROOT.in13.new"
    chmod 755 "$ROOT.in13.new"
    mv "$ROOT.in13.new" "$ROOT.in13" # at once: a test may be reading it
}

is_installed() { [ "$(chroot "$ROOT" dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_missing() {
    missing=
    for package in $WANTED; do is_installed "$package" || missing="$missing $package"; done
    [ -n "$missing" ] || return 0
    cp /etc/resolv.conf /etc/hosts "$ROOT/etc/" # the mirror's name, and localhost
    "$ROOT.in13" apt-get update -q >/dev/null
    # Through in13: some packages want /proc while they are installed.
    "$ROOT.in13" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get install -y -q --no-install-recommends $missing \
        >"$LOGS/debian13-apt.log" 2>&1 || { tail -20 "$LOGS/debian13-apt.log" >&2; fail "not installed:$missing"; }
    rm -rf "$ROOT"/var/cache/apt/*.bin "$ROOT"/var/cache/apt/archives/*.deb "$ROOT"/var/lib/apt/lists/*
}

[ "$(id -u)" = 0 ] || fail "needs root"
[ -e "$ROOT/.laid" ] || lay_root
write_in13
install_missing
chroot "$ROOT" dpkg-query -W -f '${Package} ${Version}\n' $WANTED
