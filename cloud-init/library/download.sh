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

# download URL FILE
download() { retry 4 5 "downloading ${2##*/}" fetch "$1" "$2"; }

fetch() { # URL FILE
  local status=0
  trouble=$(timeout -k 10 1500 curl --fail --silent --show-error --location --connect-timeout 20 \
    --speed-limit 1024 --speed-time 60 --output "$2" "$1" 2>&1) || status=$?
  ((status == 0)) && return 0
  trouble=${trouble:-curl ended with $status}
  ((status != 23)) || { trouble+=" ($(room "$2"))" hopeless=yes; } # curl: write error
  printf '%s\n' "$trouble"
  return "$status"
}

# room PATH: what is left on its disk, in words.
room() { timeout 30 df --output=avail,target -h "$(dirname "$1")" | awk 'END {print $1 " left on " $2}'; }
