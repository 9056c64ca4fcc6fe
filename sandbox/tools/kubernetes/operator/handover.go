package main

import (
	"strings"

	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	// byCDI is what the operator sets while cdi.enabled is true, its default since v25.10.
	byCDI         = "cdi-annotations,cdi-cri"
	byEnvironment = "envvar"
	// cdiKind is the kind of device in the CDI specification that NVIDIA's device plugin writes.
	cdiKind = "k8s.device-plugin.nvidia.com/gpu="
)

// handOver answers the kubelet with the devices of one container.
type handOver func(uuids []string) *api.ContainerAllocateResponse

// handOvers by the value of DEVICE_LIST_STRATEGY.
var handOvers = map[string]handOver{byCDI: handByCDI, byEnvironment: handByEnvironment}

// handByCDI names the devices twice: for a container runtime that knows CDI itself, and in an annotation for NVIDIA's.
func handByCDI(uuids []string) *api.ContainerAllocateResponse {
	response, names := &api.ContainerAllocateResponse{}, make([]string, 0, len(uuids))
	for _, uuid := range uuids {
		names = append(names, cdiKind+uuid)
		response.CdiDevices = append(response.CdiDevices, &api.CDIDevice{Name: cdiKind + uuid})
	}
	response.Annotations = map[string]string{"cdi.k8s.io/nvidia-device-plugin_" + strings.Join(uuids, "_"): strings.Join(names, ",")}
	return response
}

func handByEnvironment(uuids []string) *api.ContainerAllocateResponse {
	return &api.ContainerAllocateResponse{Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(uuids, ",")}}
}
