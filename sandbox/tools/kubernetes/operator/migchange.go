package main

import (
	"context"
	"fmt"
	"log"
	"os/exec"
	"strconv"
	"strings"

	"mig-k8s/sandbox/tools/kubernetes/operator/gpu"
)

// unlike are the layouts that differ from what is there.
func unlike(ctx context.Context, layouts []gpu.Layout) ([]gpu.Layout, error) {
	inventory, err := gpu.Read(ctx, hostSMI)
	if err != nil {
		return nil, err
	}
	var left []gpu.Layout
	for _, layout := range layouts {
		mode, err := gpu.ReadMIGMode(ctx, hostSMI, layout.Index)
		if err != nil {
			return nil, err
		}
		if mode != (gpu.MIGMode{Current: layout.Enabled, Pending: layout.Enabled}) || !layout.HasInstances(inventory) {
			left = append(left, layout)
		}
	}
	return left, nil
}

// setModes asks for every MIG mode, without instances where the mode goes, and returns the GPUs that keep it waiting.
func setModes(ctx context.Context, layouts []gpu.Layout) ([]int, error) {
	var pending []int
	for _, layout := range layouts {
		index := strconv.Itoa(layout.Index)
		mode, err := gpu.ReadMIGMode(ctx, hostSMI, layout.Index)
		if err != nil {
			return nil, err
		}
		wanted := gpu.MIGMode{Current: layout.Enabled, Pending: layout.Enabled}
		if mode == wanted {
			continue
		}
		if mode.Current {
			if err := removeInstances(ctx, index); err != nil {
				return nil, err
			}
		}
		number := "0"
		if layout.Enabled {
			number = "1"
		}
		said, err := hostSMI(ctx, "-i", index, "-mig", number)
		log.Print(strings.TrimSpace(said))
		if err != nil {
			return nil, err
		}
		if mode, err = gpu.ReadMIGMode(ctx, hostSMI, layout.Index); err != nil {
			return nil, err
		}
		if mode != wanted {
			pending = append(pending, layout.Index)
		}
	}
	return pending, nil
}

// makeInstances starts from none wherever a GPU differs, and reads back what was made.
func makeInstances(ctx context.Context, layouts []gpu.Layout) error {
	left, err := unlike(ctx, layouts)
	if err != nil {
		return err
	}
	for _, layout := range left {
		index := strconv.Itoa(layout.Index)
		if err := removeInstances(ctx, index); err != nil {
			return err
		}
		if len(layout.Profiles) > 0 {
			said, err := hostSMI(ctx, "mig", "-i", index, "-cgi", strings.Join(layout.Profiles, ","), "-C")
			log.Print(strings.TrimSpace(said))
			if err != nil {
				return err
			}
		}
	}
	if left, err = unlike(ctx, layouts); err == nil && len(left) > 0 {
		err = fmt.Errorf("the GPUs are not as configured after the change: %v", left)
	}
	return err
}

// removeInstances takes "there are none" for an answer.
func removeInstances(ctx context.Context, index string) error {
	for _, flag := range []string{"-dci", "-dgi"} {
		if said, err := hostSMI(ctx, "mig", "-i", index, flag); err == nil {
			log.Print(strings.TrimSpace(said))
		} else if !strings.Contains(err.Error(), "instances found") {
			return err
		}
	}
	return nil
}

// hostSMI is the machine's own nvidia-smi: the pod itself takes no device, so that it is not a client of the GPU.
func hostSMI(ctx context.Context, arguments ...string) (string, error) {
	return onHost(ctx, append([]string{"nvidia-smi"}, arguments...)...)
}

// onHost runs a program where process 1 of the machine lives.
func onHost(ctx context.Context, command ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "nsenter", append([]string{"-t", "1", "-m", "--"}, command...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
