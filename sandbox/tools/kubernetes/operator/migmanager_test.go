package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// An A100 with MIG mode off, which is asked for a mode it does not have; nsenter is the way to the machine's nvidia-smi.
const anA100 = `#!/bin/sh
case "$*" in
*mig.mode.pending*) echo "Disabled, Disabled" ;;
*--query-gpu=*) echo "0, NVIDIA A100 80GB PCIe, GPU-1, 81920, 580.159.04, 8.0, Disabled" ;;
*-L) echo "GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-1)" ;;
esac
`

const allEnabled = `version: v1
mig-configs:
  all-1g.10gb:
    - devices: all
      mig-enabled: true
      mig-devices: {"1g.10gb": 7}
`

func TestAChangeWhoseClientsDoNotEndHasFailedAndStartsThemAgain(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{"nsenter": anA100, "config.yaml": allEnabled} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	client := fake.NewClientset(
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{
			migConfigLabel: "all-1g.10gb", "nvidia.com/gpu.deploy.device-plugin": "true",
		}}},
		&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: "plugin", Namespace: "gpu-operator", Labels: map[string]string{"app": "nvidia-device-plugin-daemonset"},
			},
			Spec: corev1.PodSpec{NodeName: "node"},
		},
	)
	m := &migManager{
		client: client, node: "node", namespace: "gpu-operator", configFile: filepath.Join(folder, "config.yaml"),
		patience: 10 * time.Millisecond,
	}
	if err := m.serve(context.Background(), "all-1g.10gb", ""); err != nil {
		t.Fatal(err)
	}
	labels, err := m.labels(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]string{migStateLabel: "failed", "nvidia.com/gpu.deploy.device-plugin": "true"} {
		if labels[label] != want {
			t.Errorf("%s is %q, want %q", label, labels[label], want)
		}
	}
}
