package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"mig-k8s/sandbox/tools/kubernetes/operator/gpu"
)

// The machine's hardware as the sandbox describes it; mounted from the host into the pods that would read /sys.
const (
	pciDevices  = "/hardware/gpus.json"
	productName = "/hardware/product_name"
)

const nfdInterval = time.Minute

// runNodeFeatureDiscovery labels the node if a GPU is in it, driver or not.
func runNodeFeatureDiscovery(ctx context.Context) error {
	labels, err := newNodeLabels("nfd.node.kubernetes.io/feature-labels")
	if err != nil {
		return err
	}
	return every(ctx, nfdInterval, func() error {
		text, err := os.ReadFile(pciDevices)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		var gpus []json.RawMessage
		if err == nil {
			if err := json.Unmarshal(text, &gpus); err != nil {
				return fmt.Errorf("%s: %w", pciDevices, err)
			}
		}
		wanted := map[string]string{}
		if len(gpus) > 0 {
			wanted["feature.node.kubernetes.io/pci-10de.present"] = "true"
		}
		return logged(labels.set(ctx, wanted))
	})
}

const timestamp = "nvidia.com/gfd.timestamp"

// runFeatureDiscovery describes the GPUs in labels, every GFD_SLEEP_INTERVAL (a minute, as NVIDIA's does).
func runFeatureDiscovery(ctx context.Context) error {
	strategy, err := gpu.ParseStrategy(os.Getenv("MIG_STRATEGY"))
	if err != nil {
		return err
	}
	sharing, err := configuredSharing()
	if err != nil {
		return err
	}
	interval := time.Minute
	if text := os.Getenv("GFD_SLEEP_INTERVAL"); text != "" {
		if interval, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("GFD_SLEEP_INTERVAL: %w", err)
		}
	}
	labels, err := newNodeLabels("nfd.node.kubernetes.io/gfd.feature-labels")
	if err != nil {
		return err
	}
	return every(ctx, interval, func() error {
		inventory, err := gpu.Seen(ctx)
		if err != nil {
			return err
		}
		machine := "unknown" // what NVIDIA's says where DMI tells nothing
		if text, err := os.ReadFile(productName); err == nil {
			machine = string(text)
		}
		wanted := inventory.Labels(strategy, machine)
		sharing.Describe(wanted)
		if len(wanted) > 0 {
			wanted[timestamp] = strconv.FormatInt(time.Now().Unix(), 10)
		}
		return logged(labels.set(ctx, wanted, timestamp))
	})
}

// every runs do at once and then after each interval; the first error ends it.
func every(ctx context.Context, interval time.Duration, do func() error) error {
	for {
		if err := do(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval):
		}
	}
}

func logged(changed bool, err error) error {
	if changed {
		log.Print("labelled the node")
	}
	return err
}
