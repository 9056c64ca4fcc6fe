package main

import (
	"maps"
	"testing"
)

func TestDevicesAreGivenByCDIUnlessThePolicySwitchesItOff(t *testing.T) {
	off := false
	for _, policy := range []struct {
		enabled *bool
		want    map[string]string
		isEnv   bool
	}{
		{nil, map[string]string{"cdi.k8s.io/nvidia-device-plugin_MIG-1_MIG-2": "k8s.device-plugin.nvidia.com/gpu=MIG-1,k8s.device-plugin.nvidia.com/gpu=MIG-2"}, false},
		{&off, map[string]string{"NVIDIA_VISIBLE_DEVICES": "MIG-1,MIG-2"}, true},
	} {
		var spec policySpec
		spec.CDI.Enabled = policy.enabled
		answer := deviceListStrategies[spec.deviceListStrategy()].allocate([]string{"MIG-1", "MIG-2"})
		got := answer.Annotations
		if policy.isEnv {
			got = answer.Envs
		}
		if !maps.Equal(got, policy.want) || (len(answer.Envs) > 0) != policy.isEnv || (len(answer.CdiDevices) > 0) == policy.isEnv {
			t.Errorf("given by %v", answer)
		}
	}
}
