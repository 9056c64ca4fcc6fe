package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	// byCDI is what the operator sets while cdi.enabled is true, its default since v25.10.
	byCDI         = "cdi-annotations,cdi-cri"
	byEnvironment = "envvar"
	// The kind of device in the CDI specification that NVIDIA's device plugin writes, and where it writes it.
	cdiVendor        = "k8s.device-plugin.nvidia.com"
	cdiClass         = "gpu"
	cdiKind          = cdiVendor + "/" + cdiClass + "="
	cdiSpecification = "/var/run/cdi/" + cdiVendor + "-" + cdiClass + ".json"
	// hostRoot is where the device plugin's pod has the machine's own file system, as NVIDIA's has.
	hostRoot = "/host"
)

// deviceListStrategy is a way to give devices to containers.
type deviceListStrategy struct {
	prepare  func(ctx context.Context) error                     // once, before any is given
	allocate func(uuids []string) *api.ContainerAllocateResponse // answers the kubelet with the devices of one container
}

// deviceListStrategies by the value of DEVICE_LIST_STRATEGY.
var deviceListStrategies = map[string]deviceListStrategy{
	byCDI:         {specifyDevices, allocateByCDI},
	byEnvironment: {func(context.Context) error { return nil }, allocateByEnvironment},
}

// specifyDevices writes the CDI specification of what there is now. NVIDIA's plugin has the library that does it built in;
// this one runs the library's own program, the machine's nvidia-ctk.
func specifyDevices(ctx context.Context) error {
	command := exec.CommandContext(ctx, "/usr/bin/nvidia-ctk", "--quiet", "cdi", "generate", "--vendor="+cdiVendor, "--class="+cdiClass,
		"--device-name-strategy=uuid", "--format=json", "--output="+cdiSpecification)
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: hostRoot}
	command.Dir = "/"
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, said)
	}
	return nil
}

// allocateByCDI names the devices twice: for a container runtime that knows CDI itself, and in an annotation for NVIDIA's.
func allocateByCDI(uuids []string) *api.ContainerAllocateResponse {
	response, names := &api.ContainerAllocateResponse{}, make([]string, 0, len(uuids))
	for _, uuid := range uuids {
		names = append(names, cdiKind+uuid)
		response.CdiDevices = append(response.CdiDevices, &api.CDIDevice{Name: cdiKind + uuid})
	}
	response.Annotations = map[string]string{"cdi.k8s.io/nvidia-device-plugin_" + strings.Join(uuids, "_"): strings.Join(names, ",")}
	return response
}

func allocateByEnvironment(uuids []string) *api.ContainerAllocateResponse {
	return &api.ContainerAllocateResponse{Envs: map[string]string{"NVIDIA_VISIBLE_DEVICES": strings.Join(uuids, ",")}}
}
