# shellcheck shell=bash
# RKE2's tarball: fetched, held to its checksum, put in place. Needs stage.sh, download.sh and rke2-version.sh.
RELEASES=https://github.com/rancher/rke2/releases/download
TARBALL=rke2.linux-amd64.tar.gz
CHECKSUMS=sha256sum-amd64.txt
fetched=$root/var/lib/mig-k8s/rke2

# binary: the program of the RKE2 that is installed. The units of one in /opt lie in /etc/systemd/system, which has
# precedence over those of one in /usr/local.
binary() {
  local path
  for path in "$root/opt/rke2/bin/rke2" "$root/usr/local/bin/rke2"; do
    [[ -x $path ]] && printf '%s\n' "$path" && return 0
  done
  return 1
}

# installed_rke2 UNIT: its version; nothing also where UNIT is missing, because unpacking was cut off.
installed_rke2() {
  local path
  path=$(binary) || return 0
  [[ -f $root/etc/systemd/system/$1 || -f ${path%/bin/rke2}/lib/systemd/system/$1 ]] || return 0
  version_of "$path"
}

# prefix: where RKE2 goes, as RKE2's own install script decides it; an RKE2 that is there is replaced where it is.
prefix() {
  local path
  if path=$(binary) && [[ -w ${path%/rke2} ]]; then
    path=${path%/bin/rke2}
  else
    path=$root/usr/local
    if [[ ! -w $path ]] || mountpoint -q "$path"; then path=$root/opt/rke2; fi
  fi
  printf '%s\n' "$path"
}

# What lies in `fetched` has been checked: VERSION, BASE and SHA256 it was fetched by.
complete=$fetched/complete

# is_fetched VERSION BASE SHA256: whether fetch_rke2 has nothing to do.
is_fetched() { [[ -f $complete && $(<"$complete") == "$*" ]]; }

# fetch_rke2 VERSION BASE SHA256: without SHA256, what BASE's own list says; that one comes over https only.
fetch_rke2() {
  local base=${2:-$RELEASES/${1//+/%2B}} wanted=$3 seen why
  ! is_fetched "$@" || return 0
  local named="rke2.sha256, or of this program's table of releases"
  why="Does version $1 exist, can the machine reach it, and is there room on the disk? The next run tries again."
  progress "downloading RKE2 $1"
  rm -rf "$fetched"
  mkdir -p "$fetched"
  if [[ -z $wanted ]]; then
    named=$base/$CHECKSUMS
    download "$named" "$fetched/$CHECKSUMS" || fail "cannot download $named: $trouble. $why"
    wanted=$(sed -nE "s,^([0-9a-f]{64})[ *]+(.*/)?${TARBALL//./\\.}\$,\1,p" "$fetched/$CHECKSUMS")
    [[ $wanted =~ ^[0-9a-f]{64}$ ]] || fail "$named does not name one checksum of $TARBALL; nothing was installed." \
      "Name it as rke2.sha256"
  fi
  download "$base/$TARBALL" "$fetched/$TARBALL" "$wanted" || fail "cannot download $base/$TARBALL: $trouble. $why"
  seen=$(sha256sum "$fetched/$TARBALL")
  [[ ${seen%% *} == "$wanted" ]] ||
    fail "$base/$TARBALL has checksum ${seen%% *}, which is not the one of $named: $wanted. It is damaged or not what" \
      "it claims to be; nothing was installed. If it is an RKE2 of your own making, name its checksum as rke2.sha256"
  sync "$fetched/$TARBALL"
  write_file "$complete" 0644 <<<"$*"
}

# place_rke2 VERSION: each file takes the place of the older one in one step, the program last, since it tells the
# version: whatever is cut off, the older RKE2 can start, and the next run installs the newer one again.
place_rke2() {
  local to new path target own_units=""
  to=$(prefix)
  new=$to/.rke2-unpacked # on the same file system
  progress "installing RKE2 $1 in ${to#"$root"}"
  rm -rf "$new"
  mkdir -p "$new"
  timeout -k 10 600 tar --extract --gzip --no-same-owner --file "$fetched/$TARBALL" --directory "$new" || {
    rm -f "$complete" # it may be the tarball
    fail "cannot unpack $TARBALL in ${to#"$root"} ($(room "$new")); RKE2 there is as it was"
  }
  [[ $(version_of "$new/bin/rke2") == "$1" ]] || {
    rm -f "$complete"
    fail "$TARBALL has no bin/rke2 that says $1: it is another release's. Nothing was installed"
  }
  if [[ $to != "$root/usr/local" ]]; then
    sed -i "s|/usr/local|${to#"$root"}|g" "$new"/lib/systemd/system/rke2-*.service "$new/bin/rke2-uninstall.sh"
    own_units=$root/etc/systemd/system
  fi
  find "$new" -type f -exec sync {} +
  half_changed
  while IFS= read -r path; do
    target=$to/$path
    if [[ -n $own_units && $path == lib/systemd/system/*.service ]]; then target=$own_units/${path##*/}; fi
    { { [[ -d ${target%/*} ]] || mkdir -p "${target%/*}"; } && mv -fT "$new/$path" "$target"; } ||
      fail "cannot write ${target#"$root"} of RKE2 $1. Make room there, or writable; the next run goes on"
  done < <(cd "$new" && find . ! -type d ! -path ./bin/rke2 -printf '%P\n')
  timeout 60 systemctl daemon-reload
  mv -fT "$new/bin/rke2" "$to/bin/rke2"
}

# Also removes what a run left that was cut off after its last step, and the tarball.
clear_away() { rm -rf "$fetched" "$(prefix)/.rke2-unpacked"; }
