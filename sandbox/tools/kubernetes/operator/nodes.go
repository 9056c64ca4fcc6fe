package main

import (
	"context"
	"encoding/json"
	"log"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	gpuPresent   = "nvidia.com/gpu.present"
	deployPrefix = "nvidia.com/gpu.deploy."
)

// The labels under which node-feature-discovery reports a GPU of NVIDIA, by its configuration.
var pciLabels = []string{
	"feature.node.kubernetes.io/pci-10de.present", "feature.node.kubernetes.io/pci-0302_10de.present",
	"feature.node.kubernetes.io/pci-0300_10de.present",
}

var deployable = []string{
	"driver", "container-toolkit", "device-plugin", "gpu-feature-discovery", "dcgm", "dcgm-exporter", "node-status-exporter",
	"operator-validator",
}

// labelNodes gives nodes with a GPU their gpu.present and gpu.deploy.* labels. A deploy label that is there keeps its
// value, whatever it is: that is how a paused client stays paused.
func (c *controller) labelNodes(ctx context.Context, spec policySpec) error {
	nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		missing := missingLabels(node, spec)
		if len(missing) == 0 {
			continue
		}
		body, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": missing}})
		if err != nil {
			return err
		}
		if _, err := c.client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
			return err
		}
		log.Printf("labelled node %s: %d labels", node.Name, len(missing))
	}
	return nil
}

func missingLabels(node *corev1.Node, spec policySpec) map[string]string {
	missing := map[string]string{}
	hasGPU := false
	for _, label := range pciLabels {
		hasGPU = hasGPU || node.Labels[label] == "true"
	}
	if hasGPU && node.Labels[gpuPresent] != "true" {
		missing[gpuPresent] = "true"
	}
	if !hasGPU && node.Labels[gpuPresent] != "true" {
		return missing
	}
	wanted := deployable
	if node.Labels["nvidia.com/mig.capable"] == "true" {
		// A node without a choice is given one: this is what removes instances that were made by hand.
		if _, chosen := node.Labels[migConfigLabel]; !chosen && spec.MIGManager.enabled() && spec.MIGManager.Config.Default != "" {
			missing[migConfigLabel] = spec.MIGManager.Config.Default
		}
		wanted = append(wanted[:len(wanted):len(wanted)], "mig-manager")
	}
	for _, name := range wanted {
		if _, there := node.Labels[deployPrefix+name]; !there {
			missing[deployPrefix+name] = "true"
		}
	}
	return missing
}

// prepareCluster makes the RuntimeClass the operands run in, and lets privileged pods into the operator's namespace if
// psa.enabled asks for it.
func (c *controller) prepareCluster(ctx context.Context, spec policySpec) error {
	name := spec.Operator.RuntimeClass
	_, err := c.client.NodeV1().RuntimeClasses().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: name}
		_, err = c.client.NodeV1().RuntimeClasses().Create(ctx, class, metav1.CreateOptions{})
	}
	if err != nil || !spec.PSA.Enabled {
		return err
	}
	namespace, err := c.client.CoreV1().Namespaces().Get(ctx, c.namespace, metav1.GetOptions{})
	if err != nil {
		return err
	}
	labels := map[string]string{}
	for _, mode := range []string{"enforce", "audit", "warn"} {
		if label := "pod-security.kubernetes.io/" + mode; namespace.Labels[label] != "privileged" {
			labels[label] = "privileged"
		}
	}
	if len(labels) == 0 {
		return nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Namespaces().Patch(ctx, c.namespace, types.MergePatchType, body, metav1.PatchOptions{})
	return err
}
