package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// nodeLabels are the labels one discoverer owns on its own node. What it set once and no longer sets is removed, which
// an annotation remembers over restarts, as node-feature-discovery does.
type nodeLabels struct {
	client     kubernetes.Interface
	node       string
	annotation string
}

func newNodeLabels(annotation string) (*nodeLabels, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	node := os.Getenv("NODE_NAME")
	if node == "" {
		return nil, fmt.Errorf("NODE_NAME is not set")
	}
	return &nodeLabels{client: client, node: node, annotation: annotation}, nil
}

// set makes the owned labels exactly these; true if the node had to change. A change of volatile labels alone is not written.
func (n *nodeLabels) set(ctx context.Context, wanted map[string]string, volatile ...string) (bool, error) {
	node, err := n.client.CoreV1().Nodes().Get(ctx, n.node, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	patch, owned := map[string]any{}, make([]string, 0, len(wanted))
	for name, value := range wanted {
		owned = append(owned, name)
		seen, there := node.Labels[name]
		if !there || seen != value && !slices.Contains(volatile, name) {
			patch[name] = value
		}
	}
	for _, name := range strings.Split(node.Annotations[n.annotation], ",") {
		if _, there := node.Labels[name]; there && !slices.Contains(owned, name) {
			patch[name] = nil
		}
	}
	if len(patch) == 0 {
		return false, nil
	}
	for _, name := range volatile {
		patch[name] = wanted[name]
	}
	slices.Sort(owned)
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"labels": patch, "annotations": map[string]string{n.annotation: strings.Join(owned, ",")},
	}})
	if err != nil {
		return false, err
	}
	_, err = n.client.CoreV1().Nodes().Patch(ctx, n.node, types.MergePatchType, body, metav1.PatchOptions{})
	return err == nil, err
}
