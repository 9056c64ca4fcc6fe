package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const hashAnnotation = "nvidia.com/last-applied-hash"

// component is one DaemonSet: its name, the node label that lets it run, and its pod.
type component struct {
	name    string
	deploy  string // nvidia.com/gpu.deploy.<deploy>=true, the switch by which MIG Manager and others pause GPU clients
	operand operand
	pod     func(operand) corev1.PodSpec
}

func components(spec policySpec) []component {
	strategy := corev1.EnvVar{Name: "MIG_STRATEGY", Value: spec.MIG.Strategy}
	list := corev1.EnvVar{Name: "DEVICE_LIST_STRATEGY", Value: spec.deviceListStrategy()}
	return []component{
		{"nvidia-device-plugin-daemonset", "device-plugin", spec.DevicePlugin.operand, func(o operand) corev1.PodSpec {
			return configured(spec, corev1.PodSpec{
				Containers: []corev1.Container{gpuContainer("nvidia-device-plugin", o, strategy, list)},
				Volumes: []corev1.Volume{
					hostPath("device-plugin", "/var/lib/kubelet/device-plugins", corev1.HostPathDirectory),
					hostPath("host-root", "/", corev1.HostPathDirectory),
				},
			})
		}},
		{"gpu-feature-discovery", "gpu-feature-discovery", spec.GFD, func(o operand) corev1.PodSpec {
			return configured(spec, corev1.PodSpec{
				ServiceAccountName: "nvidia-gpu-feature-discovery",
				HostNetwork:        true,
				Containers:         []corev1.Container{gpuContainer("gpu-feature-discovery", o, ofNode(), strategy)},
				Volumes:            []corev1.Volume{hostPath("hardware", "/hardware", corev1.HostPathDirectoryOrCreate)},
			})
		}},
		{"nvidia-operator-validator", "operator-validator", spec.Validator.operand, func(o operand) corev1.PodSpec {
			return corev1.PodSpec{
				ServiceAccountName: "nvidia-operator-validator",
				HostNetwork:        true,
				InitContainers: []corev1.Container{
					gpuContainer("validate-driver", o), gpuContainer("validate-cuda", o, spec.Validator.CUDA.Env...),
					gpuContainer("validate-plugin", o, ofNode()),
				},
				Containers: []corev1.Container{gpuContainer("wait-until-terminated", o)},
			}
		}},
		{"nvidia-mig-manager", "mig-manager", spec.MIGManager.operand, func(o operand) corev1.PodSpec {
			return migManagerPod(o, spec.MIGManager.Config.Name)
		}},
	}
}

// configured gives a pod the device plugin's configurations and says which of them it has. The label
// nvidia.com/device-plugin.config, by which NVIDIA's chooses another one for a node, is not stood in for.
func configured(spec policySpec, pod corev1.PodSpec) corev1.PodSpec {
	config := spec.DevicePlugin.Config
	if config.Name == "" {
		return pod
	}
	const folder = "/available-configs"
	container := &pod.Containers[0]
	if config.Default != "" {
		container.Env = append(container.Env, corev1.EnvVar{Name: "CONFIG_FILE", Value: folder + "/" + config.Default})
	}
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "available-configs", MountPath: folder, ReadOnly: true})
	source := &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: config.Name}}
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "available-configs", VolumeSource: corev1.VolumeSource{ConfigMap: source}})
	return pod
}

// migManagerPod works on the host, and takes no device: it would be a client in the way of its own change.
func migManagerPod(o operand, config string) corev1.PodSpec {
	env := []corev1.EnvVar{
		ofNode(), fieldVariable("OPERATOR_NAMESPACE", "metadata.namespace"), {Name: "NVIDIA_VISIBLE_DEVICES", Value: "void"},
	}
	pod := corev1.PodSpec{ServiceAccountName: "nvidia-mig-manager", HostNetwork: true, HostPID: true}
	if config == "" {
		pod.Containers = []corev1.Container{gpuContainer("nvidia-mig-manager", o, env...)}
		return pod
	}
	const folder = "/mig-parted-config"
	env = append(env, corev1.EnvVar{Name: "CONFIG_FILE", Value: folder + "/config.yaml"})
	container := gpuContainer("nvidia-mig-manager", o, env...)
	container.VolumeMounts = []corev1.VolumeMount{{Name: "config", MountPath: folder, ReadOnly: true}}
	source := &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: config}}
	pod.Containers = []corev1.Container{container}
	pod.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: source}}}
	return pod
}

// mounts of a role, by the name of the volume its pod declares.
var mounts = map[string][]corev1.VolumeMount{
	"nvidia-device-plugin": {
		{Name: "device-plugin", MountPath: "/var/lib/kubelet/device-plugins"}, {Name: "host-root", MountPath: hostRoot},
	},
	"gpu-feature-discovery": {{Name: "hardware", MountPath: "/hardware", ReadOnly: true}},
}

// gpuContainer runs a role of this program with all GPUs in sight unless `env` says otherwise. What the policy sets in env wins.
func gpuContainer(role string, o operand, env ...corev1.EnvVar) corev1.Container {
	privileged := true
	container := corev1.Container{
		Name: role, Image: o.reference(), ImagePullPolicy: o.ImagePullPolicy, Args: []string{role},
		SecurityContext: &corev1.SecurityContext{Privileged: &privileged},
		Env:             append([]corev1.EnvVar{{Name: "NVIDIA_VISIBLE_DEVICES", Value: "all"}}, env...),
	}
	if o.Resources != nil {
		container.Resources = *o.Resources
	}
	container.VolumeMounts = slices.Clone(mounts[role])
	container.Env = append(container.Env, o.Env...)
	return container
}

// ofNode tells a pod which node it is on.
func ofNode() corev1.EnvVar { return fieldVariable("NODE_NAME", "spec.nodeName") }

func fieldVariable(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

func hostPath(name, path string, kind corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}}
}

func updateStrategy(spec policySpec) appsv1.DaemonSetUpdateStrategy {
	if spec.Daemonsets.UpdateStrategy == string(appsv1.OnDeleteDaemonSetStrategyType) {
		return appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	}
	rolling := &appsv1.RollingUpdateDaemonSet{}
	if most := spec.Daemonsets.RollingUpdate.MaxUnavailable; most != "" {
		value := intstr.Parse(most)
		rolling.MaxUnavailable = &value
	}
	return appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: rolling}
}

// daemonSet is what the policy wants of a component, with a hash of itself to tell a wanted change from a stored one.
func (c component) daemonSet(namespace string, spec policySpec, owner metav1.OwnerReference) *appsv1.DaemonSet {
	selector := map[string]string{"app": c.name}
	labels := maps.Clone(selector)
	for name, value := range spec.Daemonsets.Labels {
		if _, ours := labels[name]; !ours {
			labels[name] = value
		}
	}
	pod := c.pod(c.operand)
	pod.NodeSelector = map[string]string{deployPrefix + c.deploy: "true"}
	pod.RuntimeClassName = &spec.Operator.RuntimeClass
	pod.PriorityClassName = spec.Daemonsets.PriorityClassName
	pod.Tolerations = append([]corev1.Toleration{{Key: "nvidia.com/gpu", Operator: corev1.TolerationOpExists}}, spec.Daemonsets.Tolerations...)
	pod.ImagePullSecrets = c.operand.ImagePullSecrets
	set := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: c.name, Namespace: namespace, Labels: selector, OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: appsv1.DaemonSetSpec{
			Selector:       &metav1.LabelSelector{MatchLabels: selector},
			UpdateStrategy: updateStrategy(spec),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: spec.Daemonsets.Annotations}, Spec: pod,
			},
		},
	}
	body, err := json.Marshal(set)
	if err != nil {
		panic(err) // a DaemonSet made of plain values can always be written
	}
	hash := sha256.Sum256(body)
	set.Annotations = map[string]string{hashAnnotation: hex.EncodeToString(hash[:8])}
	return set
}
