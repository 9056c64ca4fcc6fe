package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"mig-k8s/sandbox/tools/kubernetes/operator/gpu"
)

const (
	migConfigLabel = "nvidia.com/mig.config"
	migStateLabel  = "nvidia.com/mig.config.state"
	paused         = "paused-for-mig-change"
	pausePatience  = 5 * time.Minute
)

// gpuClients are paused for a change: deploy label -> app label of the pods.
var gpuClients = map[string]string{
	deployPrefix + "device-plugin":         "nvidia-device-plugin-daemonset",
	deployPrefix + "gpu-feature-discovery": "gpu-feature-discovery",
	deployPrefix + "dcgm":                  "nvidia-dcgm",
	deployPrefix + "dcgm-exporter":         "nvidia-dcgm-exporter",
}

var errRebooting = errors.New("the node reboots for its MIG mode")

// migManager makes the GPUs of its node what the label nvidia.com/mig.config says, whenever the label changes and once
// when it starts: after a reboot an A100 has no instances.
type migManager struct {
	client     kubernetes.Interface
	node       string
	namespace  string
	configFile string // "": the generated configuration
	withReboot bool
	patience   time.Duration // for the pods of GPU clients to end
}

func runMIGManager(ctx context.Context) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	m := &migManager{
		client: client, node: os.Getenv("NODE_NAME"), namespace: os.Getenv("OPERATOR_NAMESPACE"),
		configFile: os.Getenv("CONFIG_FILE"), withReboot: os.Getenv("WITH_REBOOT") == "true",
		patience: pausePatience,
	}
	if m.node == "" || m.namespace == "" {
		return errors.New("NODE_NAME or OPERATOR_NAMESPACE is not set")
	}
	wanted, err := m.watch(ctx)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case name := <-wanted:
			labels, err := m.labels(ctx)
			if err != nil {
				return err
			}
			if err := m.serve(ctx, name, labels[migStateLabel]); err != nil {
				return err
			}
		}
	}
}

// watch announces what the label becomes, the last only of several changes. A label that is removed asks for nothing.
func (m *migManager) watch(ctx context.Context) (<-chan string, error) {
	wanted := make(chan string, 1)
	announce := func(node any) {
		if name := node.(*corev1.Node).Labels[migConfigLabel]; name != "" {
			select {
			case <-wanted:
			default:
			}
			wanted <- name
		}
	}
	onlyOurs := informers.WithTweakListOptions(func(options *metav1.ListOptions) {
		options.FieldSelector = "metadata.name=" + m.node
	})
	informer := informers.NewSharedInformerFactoryWithOptions(m.client, 0, onlyOurs).Core().V1().Nodes().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: announce,
		UpdateFunc: func(before, after any) {
			if before.(*corev1.Node).Labels[migConfigLabel] != after.(*corev1.Node).Labels[migConfigLabel] {
				announce(after)
			}
		},
	})
	go informer.Run(ctx.Done())
	return wanted, err
}

// serve takes the GPUs to the configuration of this name and tells in the state label how that went. An error means
// that Kubernetes cannot be told; a change that fails is told, and not an error. As in MIG Manager 0.15.1 (mig-parted
// #485) that holds for every failure; 0.15.0 stayed pending, with its clients paused, when their pods did not end.
func (m *migManager) serve(ctx context.Context, name, lastState string) error {
	log.Printf("%s=%s", migConfigLabel, name)
	err := m.change(ctx, name, lastState == "rebooting")
	if errors.Is(err, errRebooting) {
		log.Print(err)
		<-ctx.Done()
		return nil
	}
	state := "success"
	if err != nil {
		log.Printf("error: %v", err)
		state = "failed"
	}
	if err := m.resumeClients(ctx); err != nil {
		return err
	}
	log.Printf("%s=%s", migStateLabel, state)
	return m.label(ctx, map[string]string{migStateLabel: state})
}

func (m *migManager) change(ctx context.Context, name string, hasRebooted bool) error {
	text := []byte(gpu.Generated)
	var err error
	if m.configFile != "" {
		if text, err = os.ReadFile(m.configFile); err != nil {
			return err
		}
	}
	inventory, err := gpu.Read(ctx, hostSMI)
	if err != nil {
		return err
	}
	layouts, err := gpu.ParseMIGParted(string(text), name, inventory.GPUs)
	if err != nil {
		return err
	}
	if left, err := unlike(ctx, layouts); err != nil || len(left) == 0 {
		return err
	}
	if err := m.label(ctx, map[string]string{migStateLabel: "pending"}); err != nil {
		return err
	}
	if err := m.pauseClients(ctx); err != nil {
		return err
	}
	pending, err := setModes(ctx, layouts)
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		if !m.withReboot || hasRebooted {
			return fmt.Errorf("MIG mode of GPU %v is pending and the GPU cannot be reset: the node must be rebooted", pending)
		}
		if err := m.label(ctx, map[string]string{migStateLabel: "rebooting"}); err != nil {
			return err
		}
		if _, err := onHost(ctx, "systemctl", "reboot"); err != nil {
			return err
		}
		return errRebooting
	}
	if err := makeInstances(ctx, layouts); err != nil {
		return err
	}
	return m.validateAnew(ctx)
}

func (m *migManager) labels(ctx context.Context) (map[string]string, error) {
	node, err := m.client.CoreV1().Nodes().Get(ctx, m.node, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return node.Labels, nil
}

func (m *migManager) label(ctx context.Context, labels map[string]string) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err == nil {
		_, err = m.client.CoreV1().Nodes().Patch(ctx, m.node, types.MergePatchType, body, metav1.PatchOptions{})
	}
	return err
}
