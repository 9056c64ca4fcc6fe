package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"mig-k8s/sandbox/tools/kubernetes/operator/gpu"
)

// validateDriver asks the driver for its GPUs once.
func validateDriver(ctx context.Context) error {
	list, err := gpu.NvidiaSMI(ctx, "-L")
	if err == nil {
		log.Print(strings.TrimSpace(list))
	}
	return err
}

// validateCUDA computes on a device, as the pod does that NVIDIA's validator starts; WITH_WORKLOAD=false leaves that out.
func validateCUDA(ctx context.Context) error {
	if os.Getenv("WITH_WORKLOAD") == "false" {
		log.Print("without a workload")
		return nil
	}
	inventory, err := gpu.Seen(ctx)
	if err != nil {
		return err
	}
	if !inventory.Computes() {
		return errors.New("no CUDA-capable device is detected: MIG mode is on and there are no instances")
	}
	return nil
}

// validatePlugin waits until the kubelet offers a GPU or a MIG device, as long as NVIDIA's validator does: 30 × 5 s.
func validatePlugin(ctx context.Context) error {
	const patience = 150 * time.Second
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		node, err := client.CoreV1().Nodes().Get(waiting, os.Getenv("NODE_NAME"), metav1.GetOptions{})
		if err != nil && waiting.Err() == nil {
			return err
		}
		if err == nil {
			for name, quantity := range node.Status.Allocatable {
				if isGPU := strings.HasPrefix(string(name), "nvidia.com/gpu") || strings.HasPrefix(string(name), "nvidia.com/mig-"); isGPU && !quantity.IsZero() {
					log.Printf("allocatable %s: %s", name, quantity.String())
					return nil
				}
			}
		}
		select {
		case <-waiting.Done():
			return fmt.Errorf("no GPU resource is allocatable on the node after %s", patience)
		case <-time.After(500 * time.Millisecond):
		}
	}
}
