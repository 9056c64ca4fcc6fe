#!/bin/sh
# Removes RKE2, its data and its configuration from this machine.
set -u

prefix=$(cd "$(dirname "$0")/.." && pwd)
"$prefix/bin/rke2-killall.sh"
systemctl disable rke2-server.service rke2-agent.service 2>/dev/null
rm -f /run/systemd/system/rke2-*.service
rm -f "$prefix/lib/systemd/system/rke2-server.service" "$prefix/lib/systemd/system/rke2-agent.service"
systemctl daemon-reload
systemctl reset-failed 'rke2-*.service' 2>/dev/null
# /var/lib/rancher and /var/lib/kubelet may be mount points: their contents go, not they.
rm -rf /etc/rancher/rke2 /var/lib/rancher/rke2 /etc/cni/net.d/10-rke2.conflist
find /var/lib/kubelet -mindepth 1 -delete
rm -rf "$prefix/share/rke2"
rm -f "$prefix/bin/rke2" "$prefix/bin/rke2-killall.sh" "$prefix/bin/rke2-uninstall.sh"
