# shellcheck shell=bash
# What every stage shares: where the machine's files lie, how it reports, how it writes a file.
root=${MIG_K8S_ROOT:-/}
root=${root%/}

# Reports go to standard output (3 from here on), everything that tools print to standard error. The words of a report
# are those that machine/converge/script.py reads.
open_reports() { exec 3>&1 1>&2; }
progress() { printf 'progress %s\n' "$*" >&3; }
finish() { printf '%s\n' "$*" >&3; exit 0; }
fail() { printf 'failed %s\n' "$*" >&3; exit 1; }

# take_turn WHY: before something disruptive. Where the machine does not have its turn yet, the stage ends here, and is
# run again when it has.
take_turn() { [[ -z ${ASKS_TURN:-} ]] || finish "turn $*"; }

# half_changed: whoever fails from here on leaves the machine half changed, and no pods are sent to it until a run succeeds.
half_changed() { printf 'half-changed\n' >&3; }

# write_file PATH MODE: standard input becomes the file, in one step. `written` tells whether it was not so before.
# Nobody else can read it meanwhile. Never call it in a condition: bash would no longer stop at the first error in it.
write_file() {
  local path=$1 mode=$2
  [[ -d ${path%/*} ]] || mkdir -p "${path%/*}"
  install -m "$mode" /dev/stdin "$path.new"
  written=no
  if [[ ! -e $path ]] || ! cmp -s "$path.new" "$path"; then
    written=yes
  fi
  mv -f "$path.new" "$path"
}

# The release that this file belongs to. A stage never calls the current one, which may be newer than itself.
release=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
mig_k8s() { # SECONDS SUBCOMMAND…
  timeout -k 10 "$1" "$root/usr/bin/python3" -I -B "$release" "${@:2}"
}
