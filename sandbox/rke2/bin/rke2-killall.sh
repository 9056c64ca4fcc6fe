#!/bin/sh
# Ends everything RKE2 runs on this machine and unmounts what its pods had mounted. Keeps the cluster's data.
set -u

systemctl stop rke2-server.service rke2-agent.service
for unit in kubelet kube-proxy kube-scheduler kube-controller-manager kube-apiserver etcd; do
    systemctl stop "rke2-$unit.service" 2>/dev/null
done

ctr=/var/lib/rancher/rke2/bin/ctr
socket=/run/k3s/containerd/containerd.sock
if [ -S "$socket" ]; then
    for task in $("$ctr" -a "$socket" -n k8s.io tasks ls -q); do
        "$ctr" -a "$socket" -n k8s.io tasks rm -f "$task" >/dev/null
    done
fi
systemctl stop rke2-containerd.service 2>/dev/null
pkill -KILL -f containerd-shim-runc-v2 # those whose container was not there any more to be removed

awk '$2 ~ "^/(run/k3s|var/lib/kubelet/pods|run/netns/cni-)" {print $2}' /proc/self/mounts | sort -r | while read -r mount; do
    umount "$mount"
done
rm -rf /var/lib/cni/networks
ip link delete cni0 2>/dev/null
nft delete table ip cni0 2>/dev/null
ip -brief address show dev lo | grep -o '[0-9.]*/32' | while read -r service; do # kube-proxy's
    ip address delete "$service" dev lo
done
exit 0
