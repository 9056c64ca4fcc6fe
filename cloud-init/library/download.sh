# shellcheck shell=bash
# Trying again, and fetching files. Needs stage.sh.
# retry TIMES PAUSE WHAT COMMAND…: until it succeeds; the status of the last try. `trouble` is why, if COMMAND sets it;
# when it sets `hopeless`, another try cannot do better.
retry() {
  local times=$1 pause=$2 what=$3 status=0 try
  trouble="" hopeless=""
  shift 3
  for ((try = 1; try <= times; try++)); do
    status=0
    "$@" || status=$?
    ((status == 0)) && return 0
    [[ -z $hopeless ]] || break
    ((try == times)) || { progress "$what failed ($status), try $((try + 1)) of $times in $pause s"; sleep "$pause"; }
  done
  return "$status"
}

# download URL FILE [CHECK]: over plain http only where the caller checks the file by CHECK, a checksum or fingerprint.
download() {
  [[ $1 == https:* || -n ${3:-} ]] || fail "$1 is plain http without a checksum: anybody on the way could change what" \
    "comes. Nothing was downloaded; use https, or name its SHA-256 in the stack file"
  retry 4 5 "downloading ${2##*/}" fetch "$1" "$2"
}

fetch() { # URL FILE
  local status=0 only="=https" # also where it is redirected
  [[ $1 == https:* ]] || only+=,http
  trouble=$(timeout -k 10 1500 curl --proto "$only" --proto-redir "$only" --fail --silent --show-error --location --connect-timeout 20 \
    --speed-limit 1024 --speed-time 60 --output "$2" "$1" 2>&1) || status=$?
  ((status == 0)) && return 0
  trouble=${trouble:-curl ended with $status}
  ((status != 23)) || { trouble+=" ($(room "$2"))" hopeless=yes; } # curl: write error
  printf '%s\n' "$trouble"
  return "$status"
}

# room PATH: what is left on its disk, in words.
room() { timeout 30 df --output=avail,target -h "$(dirname "$1")" | awk 'END {print $1 " left on " $2}'; }
