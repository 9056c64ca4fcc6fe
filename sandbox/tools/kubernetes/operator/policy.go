package main

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var clusterPolicies = schema.GroupVersionResource{Group: "nvidia.com", Version: "v1", Resource: "clusterpolicies"}

// policySpec is the part of ClusterPolicy's spec this operator acts on.
type policySpec struct {
	Operator struct {
		RuntimeClass string `json:"runtimeClass"`
	} `json:"operator"`
	Daemonsets struct {
		Labels            map[string]string   `json:"labels"`
		Annotations       map[string]string   `json:"annotations"`
		PriorityClassName string              `json:"priorityClassName"`
		Tolerations       []corev1.Toleration `json:"tolerations"`
		UpdateStrategy    string              `json:"updateStrategy"`
		RollingUpdate     struct {
			MaxUnavailable string `json:"maxUnavailable"`
		} `json:"rollingUpdate"`
	} `json:"daemonsets"`
	MIG struct {
		Strategy string `json:"strategy"`
	} `json:"mig"`
	PSA struct {
		Enabled bool `json:"enabled"`
	} `json:"psa"`
	CDI struct {
		Enabled *bool `json:"enabled"`
	} `json:"cdi"`
	DevicePlugin struct {
		operand `json:",inline"`
		Config  struct {
			Name    string `json:"name"`
			Default string `json:"default"`
		} `json:"config"`
	} `json:"devicePlugin"`
	GFD       operand `json:"gfd"`
	Validator struct {
		operand `json:",inline"`
		CUDA    struct {
			Env []corev1.EnvVar `json:"env"`
		} `json:"cuda"`
	} `json:"validator"`
	MIGManager struct {
		operand `json:",inline"`
		Config  struct {
			Name    string `json:"name"`
			Default string `json:"default"`
		} `json:"config"`
	} `json:"migManager"`
}

// operand is what every deployed component has in common. Enabled unless it says otherwise.
type operand struct {
	Enabled          *bool                         `json:"enabled"`
	Repository       string                        `json:"repository"`
	Image            string                        `json:"image"`
	Version          string                        `json:"version"`
	ImagePullPolicy  corev1.PullPolicy             `json:"imagePullPolicy"`
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets"`
	Env              []corev1.EnvVar               `json:"env"`
	Resources        *corev1.ResourceRequirements  `json:"resources"`
}

func (o operand) enabled() bool { return o.Enabled == nil || *o.Enabled }

// deviceListStrategy is how the device plugin gives devices to containers.
func (spec policySpec) deviceListStrategy() string {
	if spec.CDI.Enabled == nil || *spec.CDI.Enabled {
		return byCDI
	}
	return byEnvironment
}

func (o operand) reference() string { return o.Repository + "/" + o.Image + ":" + o.Version }

func specOf(policy *unstructured.Unstructured) (policySpec, error) {
	var spec policySpec
	body, err := json.Marshal(policy.Object["spec"])
	if err == nil {
		err = json.Unmarshal(body, &spec)
	}
	if err != nil {
		return spec, fmt.Errorf("cannot read the spec of ClusterPolicy %s: %w", policy.GetName(), err)
	}
	return spec, nil
}
