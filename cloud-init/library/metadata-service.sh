# shellcheck shell=bash
# Whether pods reach the cloud's metadata service and the host's channel to its fabric. Needs stage.sh and packages.sh.
rules=$root/etc/mig-k8s/pods.nft

# metadata_for_pods 0|1: `written` tells whether it was not so before. At a boot mig-k8s-pods.service loads the rules
# before RKE2 starts.
metadata_for_pods() {
  local said
  if (($1)); then
    written=no
    [[ ! -f $rules ]] || written=yes
    rm -f "$rules"
    ! has_rules || { timeout 60 nft delete table inet mig_k8s; written=yes; }
    return 0
  fi
  if [[ ! -x $root/usr/sbin/nft ]]; then
    progress "installing nftables, which this image does not bring"
    apt_lists || true # those that are there may do
    apt_install nftables || fail "apt cannot install nftables, which keeps pods from the metadata service: $trouble"
  fi
  # What pods send is forwarded, what the machine itself sends is not. A refusal is final whatever other tables accept.
  # Of 168.63.129.16 the name service (port 53) is left to them.
  write_file "$rules" 0644 <<'RULES'
table inet mig_k8s
delete table inet mig_k8s
table inet mig_k8s {
	chain pods {
		type filter hook forward priority filter - 10; policy accept;
		ip daddr 169.254.169.254 reject with icmpx type admin-prohibited
		ip daddr 168.63.129.16 tcp dport { 80, 32526 } reject with icmpx type admin-prohibited
	}
}
RULES
  [[ $written == yes ]] || ! has_rules || return 0
  written=yes
  said=$(timeout 60 nft --file "$rules" 2>&1) ||
    fail "pods cannot be kept from the metadata service, so RKE2 was not touched: nft says ${said//$'\n'/ }." \
      "network.podsReachMetadata: true leaves it open to them"
}

has_rules() { timeout 60 nft list table inet mig_k8s >/dev/null 2>&1; }
