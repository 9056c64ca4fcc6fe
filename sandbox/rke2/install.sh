#!/bin/sh
# Installs RKE2's stand-in from its tarball, as RKE2's install script does on Ubuntu. Variables:
#   INSTALL_RKE2_TYPE           server (default) | agent: which unit is meant; both are installed
#   INSTALL_RKE2_METHOD         tar; nothing else is stood in for
#   INSTALL_RKE2_VERSION        v1.35.7+rke2r1; without it the newest of INSTALL_RKE2_CHANNEL
#   INSTALL_RKE2_CHANNEL        stable (default), asked at INSTALL_RKE2_CHANNEL_URL
#   INSTALL_RKE2_ARTIFACT_PATH  folder with rke2.linux-amd64.tar.gz and sha256sum-amd64.txt: nothing is downloaded
#   INSTALL_RKE2_ARTIFACT_URL   where <version>/rke2.linux-amd64.tar.gz is downloaded from
#   INSTALL_RKE2_TAR_PREFIX     where it goes: /usr/local, or /opt/rke2 where that cannot be written
#   INSTALL_RKE2_SKIP_RELOAD    set: no systemctl daemon-reload
set -eu

# Written when the script is published: where its releases are.
RELEASES_URL='@RELEASES_URL@'
TARBALL=rke2.linux-amd64.tar.gz
CHECKSUMS=sha256sum-amd64.txt

info() { echo "[INFO]  $*"; }

fatal() {
    echo "[ERROR]  $*" >&2
    exit 1
}

check_request() {
    [ "$(id -u)" = 0 ] || [ -n "${INSTALL_RKE2_TAR_PREFIX:-}" ] || fatal "run as root, or set INSTALL_RKE2_TAR_PREFIX"
    [ "$(uname -m)" = x86_64 ] || fatal "unsupported architecture $(uname -m): only x86_64 is stood in for"
    case "${INSTALL_RKE2_TYPE:=server}" in
    server | agent) ;;
    *) fatal "INSTALL_RKE2_TYPE=$INSTALL_RKE2_TYPE: expected server or agent" ;;
    esac
    [ "${INSTALL_RKE2_METHOD:=tar}" = tar ] || fatal "INSTALL_RKE2_METHOD=$INSTALL_RKE2_METHOD: only tar is stood in for"
    [ -z "${INSTALL_RKE2_COMMIT:-}" ] || fatal "INSTALL_RKE2_COMMIT is not stood in for: use INSTALL_RKE2_VERSION"
    [ -z "${INSTALL_RKE2_AGENT_IMAGES_DIR:-}" ] || fatal "INSTALL_RKE2_AGENT_IMAGES_DIR is not stood in for"
}

choose_prefix() {
    PREFIX=${INSTALL_RKE2_TAR_PREFIX:-/usr/local}
    if [ -z "${INSTALL_RKE2_TAR_PREFIX:-}" ] && ! { [ -d "$PREFIX" ] && touch "$PREFIX/.rke2-probe" 2>/dev/null; }; then
        PREFIX=/opt/rke2
    fi
    rm -f "$PREFIX/.rke2-probe"
}

download() { # download URL FILE
    command -v curl >/dev/null || fatal "curl is needed to download $1"
    curl -fsSL --retry 3 --connect-timeout 20 -o "$2" "$1" || fatal "cannot download $1"
}

choose_version() {
    if [ -z "${INSTALL_RKE2_VERSION:-}" ]; then
        channel=${INSTALL_RKE2_CHANNEL:-stable}
        download "${INSTALL_RKE2_CHANNEL_URL:-$RELEASES_URL/channels}/$channel" "$WORK/channel"
        INSTALL_RKE2_VERSION=$(cat "$WORK/channel")
    fi
    info "using $INSTALL_RKE2_VERSION as release"
}

fetch() {
    if [ -n "${INSTALL_RKE2_ARTIFACT_PATH:-}" ]; then
        [ -f "$INSTALL_RKE2_ARTIFACT_PATH/$TARBALL" ] || fatal "no $TARBALL in INSTALL_RKE2_ARTIFACT_PATH=$INSTALL_RKE2_ARTIFACT_PATH"
        info "using $TARBALL from $INSTALL_RKE2_ARTIFACT_PATH"
        ARTIFACTS=$INSTALL_RKE2_ARTIFACT_PATH
        if [ ! -f "$ARTIFACTS/$CHECKSUMS" ]; then
            info "no $CHECKSUMS there: the tarball is not checked"
            return
        fi
    else
        choose_version
        ARTIFACTS=$WORK
        base=${INSTALL_RKE2_ARTIFACT_URL:-$RELEASES_URL}/$(echo "$INSTALL_RKE2_VERSION" | sed 's/+/%2B/g')
        info "downloading $base/$TARBALL"
        download "$base/$CHECKSUMS" "$WORK/$CHECKSUMS"
        download "$base/$TARBALL" "$WORK/$TARBALL"
    fi
    expected=$(awk -v name="$TARBALL" '$2 == name {print $1}' "$ARTIFACTS/$CHECKSUMS")
    actual=$(sha256sum "$ARTIFACTS/$TARBALL" | cut -d' ' -f1)
    [ -n "$expected" ] || fatal "$CHECKSUMS does not name $TARBALL"
    [ "$expected" = "$actual" ] || fatal "$TARBALL does not match its checksum: expected $expected, got $actual"
    info "verified $TARBALL"
}

unpack() {
    info "unpacking $TARBALL to $PREFIX"
    mkdir -p "$PREFIX"
    tar -xzf "$ARTIFACTS/$TARBALL" -C "$PREFIX" --no-same-owner
    if [ "$PREFIX" != /usr/local ]; then
        sed -i "s|/usr/local/|$PREFIX/|g" "$PREFIX/lib/systemd/system/rke2-server.service" "$PREFIX/lib/systemd/system/rke2-agent.service"
        info "the units are in $PREFIX/lib/systemd/system"
    fi
    [ -n "${INSTALL_RKE2_SKIP_RELOAD:-}" ] || systemctl daemon-reload
}

check_request
choose_prefix
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
fetch
unpack
