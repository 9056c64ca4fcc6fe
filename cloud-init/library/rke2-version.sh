# shellcheck shell=bash
# Which version an RKE2 is, which one runs, and a snapshot before it becomes another one. Needs stage.sh.
SNAPSHOTS_KEPT=3
API_SECONDS=300

# version_of COMMAND…: such as v1.36.4+rke2r1, as its --version says; nothing when it does not.
version_of() {
  local words
  words=$(timeout -k 5 60 "$@" --version 2>/dev/null) || return 0
  [[ $words =~ (v[0-9]+\.[0-9]+\.[0-9]+\+rke2r[0-9]+) ]] || return 0
  printf '%s\n' "${BASH_REMATCH[1]}"
}

# running_version UNIT: of the process that runs, which is the old program until RKE2 is restarted, whatever has been
# installed in its place. Nothing when it does not run.
running_version() {
  local pid
  pid=$(timeout 60 systemctl show --property=MainPID --value "$1") || return 0
  [[ ${pid:-0} == 0 ]] || version_of "$root/proc/$pid/exe"
}

minor_of() { printf '%s\n' "${1%.*}"; } # v1.36 of v1.36.4+rke2r1

# save_datastore RKE2 UNIT FROM TO: where this server has one; from a minor to another nothing goes on without it.
save_datastore() {
  local rke2=$1 unit=$2 from=$3 to=$4 said
  [[ -d $root/var/lib/rancher/rke2/server/db/etcd ]] || return 0
  progress "saving a snapshot of etcd before RKE2 goes from $from to $to"
  # A machine that has just booted may still be starting it.
  if ! timeout -k 10 "$READY_SECONDS" systemctl start "$unit"; then
    [[ $(minor_of "$from") != "$(minor_of "$to")" ]] ||
      { progress "$unit does not run, so there is no snapshot; going on, since this is the same minor"; return 0; }
    fail "RKE2 stays at $from: $unit does not start, so no snapshot of etcd can be saved before $to. Bring it up first:" \
      "journalctl -u $unit tells why it does not start"
  fi
  said=$(timeout -k 10 300 "$rke2" etcd-snapshot save --name "mig-k8s-from-${from%%+*}" 2>&1) || {
    printf '%s\n' "$said"
    fail "RKE2 stays at $from: no snapshot of etcd could be saved before $to: ${said##*$'\n'}. Is there room" \
      "(df -h $root/var/lib/rancher)? \`sudo rke2 etcd-snapshot save\` there tells more; \`pulumi up\` tries again"
  }
  timeout -k 10 300 "$rke2" etcd-snapshot prune --name mig-k8s-from- --snapshot-retention "$SNAPSHOTS_KEPT" ||
    progress "older snapshots in $root/var/lib/rancher/rke2/server/db/snapshots cannot be pruned; going on"
}

# wait_for_api VERSION: until this server's own API server is of it. RKE2 is ready while the old one still answers.
wait_for_api() {
  local deadline=$((SECONDS + API_SECONDS)) said=""
  until [[ $said == "$1" ]]; do
    ((SECONDS < deadline)) || fail "RKE2 runs as $1, but its API server is $said after $API_SECONDS s:" \
      "/var/log/pods/kube-system_kube-apiserver-* and journalctl -u rke2-server there tell why"
    [[ -z $said ]] || sleep 1
    said=$(timeout -k 5 30 "$root/var/lib/rancher/rke2/bin/kubectl" --kubeconfig "$root/etc/rancher/rke2/rke2.yaml" \
      get --raw /version 2>/dev/null) || said=""
    if [[ $said =~ \"gitVersion\":\ *\"([^\"]+)\" ]]; then said=${BASH_REMATCH[1]}; else said=away; fi
  done
}
