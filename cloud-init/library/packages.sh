# shellcheck shell=bash
# apt and dpkg: package lists, exact versions, holds. Needs stage.sh and download.sh.
apt_lists() { # [OPTION]…
  # A list that cannot be fetched is an error, not a warning followed by an old list.
  retry 5 15 "apt-get update" timeout -k 10 600 apt-get update -q -o APT::Update::Error-Mode=any "$@"
}

# lock_holder: who holds a lock of dpkg, such as "unattended-upgr (process 1234)"; nothing when nobody does.
lock_holder() {
  local command process path
  while read -r command process path; do
    [[ $path != "$root"/var/lib/dpkg/lock* ]] || { printf '%s (process %s)\n' "$command" "$process"; return 0; }
  done < <(timeout 30 lslocks --noheadings --raw --output COMMAND,PID,PATH 2>/dev/null)
}

# apt_install PACKAGE[=VERSION]…: a run that was killed is completed first.
apt_install() {
  local holder
  holder=$(lock_holder)
  [[ -z $holder ]] || progress "waiting for $holder, which holds dpkg's lock; at most 10 min"
  timeout -k 10 900 dpkg --configure -a
  retry 3 15 "apt-get install" apt_try "$@"
}

# Ignore-Hold: a package of ours that is held is removed where the wanted one excludes it, as one kind of kernel modules
# does the other; --allow-change-held-packages alone does not let apt's resolver do so.
apt_try() { # PACKAGE[=VERSION]…
  local status=0 log
  log=$(mktemp)
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a timeout -k 10 1500 apt-get install -q -y --no-install-recommends \
    --allow-downgrades --allow-change-held-packages -o APT::Ignore-Hold=true "$@" 2>&1 | tee "$log" || status=$?
  trouble=$(grep '^E: ' "$log" | tail -1) || trouble="apt-get ended with $status"
  rm -f "$log"
  [[ $trouble != *"enough free space"* ]] || hopeless=yes
  return "$status"
}

installed_version() {
  local state
  state=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null) || return 0
  [[ $state == "installed "* ]] && printf '%s\n' "${state#installed }"
  return 0
}

# installed_packages PATTERN…: each with its state and version.
installed_packages() { dpkg-query -W -f '${Package} ${db:Status-Status} ${Version}\n' "$@" 2>/dev/null || true; }

candidate_version() {
  local line
  while read -r line; do
    [[ $line == "Candidate: "* && $line != *"(none)" ]] && printf '%s\n' "${line#Candidate: }"
  done < <(timeout 120 apt-cache policy "$1" 2>/dev/null)
  return 0
}

# depends PACKAGE: the Depends field of its candidate version; nothing for a package that apt does not know.
depends() { timeout 120 apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Depends: //p' || true; }

# hold PATTERN…: every installed package whose name matches.
hold() {
  local state name names=()
  while read -r state name; do
    [[ $state == installed ]] && names+=("$name")
  done < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null)
  ((${#names[@]} == 0)) || timeout 120 apt-mark hold "${names[@]}" >/dev/null
}
