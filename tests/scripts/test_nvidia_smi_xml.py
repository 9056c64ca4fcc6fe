"""`nvidia-smi -q -x` of the fake GPU has the elements of captured answers, in their order."""

import captured_smi as captured
import pytest
from fake_gpu import FakeGpu

A100_40GB = {"model": "A100-40GB", "uuid": "GPU-27b94a00-ed54-5c24-b1fd-1054085de32a", "pci_bus_id": "00000000:00:04.0"}
OTHER = {"uuid": "GPU-00000000-0000-0000-0000-000000000002", "pci_bus_id": "00000002:00:00.0"}
# The elements that ours has, in the order of an H100 with MIG mode off and 580.105.08 (NVIDIA/k8s-test-infra), with the
# values of our own captures of an H100.
H100 = """\
<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v13.dtd">
<nvidia_smi_log>
	<driver_version>580.159.04</driver_version>
	<cuda_version>13.0</cuda_version>
	<attached_gpus>1</attached_gpus>
	<gpu id="00000000:00:06.0">
		<product_name>NVIDIA H100 80GB HBM3</product_name>
		<product_brand>NVIDIA</product_brand>
		<product_architecture>Hopper</product_architecture>
		<persistence_mode>Enabled</persistence_mode>
		<mig_mode>
			<current_mig>Disabled</current_mig>
			<pending_mig>Disabled</pending_mig>
		</mig_mode>
		<mig_devices>
			None
		</mig_devices>
		<uuid>GPU-11111111-2222-3333-4444-555555555555</uuid>
		<vbios_version>96.00.DA.00.0C</vbios_version>
		<gpu_virtualization_mode>
			<virtualization_mode>Pass-Through</virtualization_mode>
		</gpu_virtualization_mode>
		<pci>
			<pci_device_id>233010DE</pci_device_id>
			<pci_bus_id>00000000:00:06.0</pci_bus_id>
		</pci>
		<fabric>
			<state>N/A</state>
			<status>N/A</status>
		</fabric>
	</gpu>

</nvidia_smi_log>
"""


def test_the_xml_of_an_h100_has_lines_of_the_captured_one(gpu: FakeGpu) -> None:
    uuid, bus = "GPU-11111111-2222-3333-4444-555555555555", "00000000:00:06.0"
    gpu.plug({"model": "H100-80GB", "uuid": uuid, "pci_bus_id": bus})
    gpu.reboot()
    lines = gpu.said("--query --xml-format").splitlines(keepends=True)
    assert lines[3].startswith("\t<timestamp>")
    assert "".join(lines[:3] + lines[4:]) == H100


@pytest.fixture
def divided(gpu: FakeGpu) -> FakeGpu:
    """GPUs divided as on the machine of the capture, with the branch that is nearest to its driver's."""
    gpu.plug(A100_40GB)
    gpu.run("load-driver", "--unload")
    gpu.load_driver("515.86.01")
    gpu.enable()
    gpu.said("mig -cgi 9,9 -C")
    return gpu


def test_the_mig_devices_of_an_a100_are_the_captured_ones(divided: FakeGpu) -> None:
    """But for the memory in use, of which nobody uses any here."""
    answer = divided.said("-q -x")
    assert 'SYSTEM "nvsmi_device_v11.dtd">' in answer
    unused = captured.MIG_DEVICES_XML.replace("<used>19 MiB<", "<used>0 MiB<").replace(">19948 MiB<", ">19968 MiB<")
    assert unused in answer


def test_a_gpu_with_mig_mode_on_and_nothing_in_it_has_no_mig_devices(divided: FakeGpu) -> None:
    divided.said("mig -dci")
    answer = divided.said("-q -x")
    assert "\t\t\t<current_mig>Enabled</current_mig>\n" in answer
    assert "\t\t<mig_devices>\n\t\t\tNone\n\t\t</mig_devices>\n" in answer


def test_the_xml_is_that_of_the_chosen_gpus(gpu: FakeGpu) -> None:
    gpu.plug({}, OTHER)
    gpu.reboot()
    assert gpu.said("-q -x").count("\t<gpu id=") == 2
    answer = gpu.said("-i 1 -q -x")
    assert answer.count("\t<gpu id=") == answer.count('\t<gpu id="00000002:00:00.0">\n') == 1
    gone = gpu.smi("-i 2 -q -x")
    assert (gone.returncode, gone.stdout) == (6, "No devices were found\n")


def test_a_lost_gpu_is_named_before_the_xml_of_the_others(gpu: FakeGpu) -> None:
    gpu.plug({}, OTHER)
    gpu.reboot()
    gpu.fault({"off_the_bus": [0]})
    answer = gpu.smi("-q -x")
    assert answer.returncode == 15
    first, second, *_ = answer.stdout.splitlines()
    assert first.startswith("Unable to determine the device handle for GPU0: 0001:00:00.0: GPU is lost.")
    assert second == '<?xml version="1.0" ?>'
