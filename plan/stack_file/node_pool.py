"""Node pools of the stack file: machines that are alike, and the layouts of their GPUs."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from plan.gpu.catalogue import VmSize, vm_sizes
from plan.stack_file.section import Section
from plan.stack_file.values import names, numbers, sizes

Count = Annotated[int, AfterValidator(numbers.between(0, 99))]
MigDevices = dict[str, Count]
MachineName = Annotated[str, AfterValidator(names.machine_name)]
SizeName = Annotated[str, AfterValidator(sizes.vm_size)]
LabelKey = Annotated[str, AfterValidator(names.label_key)]
LabelValue = Annotated[str, AfterValidator(names.label_value)]
Taint = Annotated[str, AfterValidator(names.node_taint)]


class GpuSet(Section):
    """Some GPUs of a machine and their layout."""

    devices: Annotated[tuple[Count, ...], AfterValidator(numbers.filled)]
    mig_devices: MigDevices | None = None


class NodePool(Section):
    """Machines that are alike."""

    name: MachineName = "mlops-k8s-master"
    role: Literal["server", "agent"] = "server"
    count: Annotated[int, AfterValidator(numbers.between(1, 1000))] = 1
    vm_size: SizeName = "Standard_NC24ads_A100_v4"
    mig_devices: MigDevices | None = None
    gpus: Annotated[tuple[GpuSet, ...], AfterValidator(numbers.filled)] | None = None
    node_labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    node_taints: Annotated[tuple[Taint, ...], AfterValidator(names.node_taints)] = ()
    first_machine: MachineName | None = None

    @property
    def size(self) -> VmSize:
        """The size's entry in the catalogue."""
        return vm_sizes()[self.vm_size]

    @property
    def machine_names(self) -> tuple[str, ...]:
        """`name`, `name-1`, `name-2`, …: a pool that grows or shrinks renames none of those that stay."""
        return (self.first_machine or self.name, *(f"{self.name}-{number}" for number in range(1, self.count)))

    @property
    def names_of_the_first(self) -> tuple[str, str]:
        """What its first machine can be called: by this version, and by those that numbered several from 0."""
        return self.name, f"{self.name}-0"

    @property
    def written_layouts(self) -> tuple[tuple[str, MigDevices], ...]:
        """Every layout of the pool with the key it stands under."""
        per_gpu = [(f"gpus[{number}].migDevices", entry.mig_devices) for number, entry in enumerate(self.gpus or ())]
        layouts = [("migDevices", self.mig_devices), *per_gpu]
        return tuple((key, layout) for key, layout in layouts if layout is not None)

    def wanted(self, gpu: int) -> MigDevices | None:
        """The layout of the GPU at this index: None = MIG mode off, empty = MIG mode on without instances."""
        for entry in self.gpus or ():
            if gpu in entry.devices:
                return entry.mig_devices
        return self.mig_devices
