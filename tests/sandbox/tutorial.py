"""The tutorial's own manifests, letter by letter, and its outputs as today's versions print them.

docs/tutorial.md lists every difference between the two with its source.
"""

from string import Template

CUDA_10, CUDA_11 = "nvcr.io/nvidia/cuda:10.1-base-ubuntu18.04", "docker.io/nvidia/cuda:11.0.3-runtime-ubuntu20.04"
"""The images of the manifests below; `nvidia/cuda:…` is Docker Hub's."""

GPU_TEST = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: gpu-test
spec:
  template:
    spec:
      runtimeClassName: nvidia
      containers:
      - name: gpu-test
        image: nvcr.io/nvidia/cuda:10.1-base-ubuntu18.04
        command: ["nvidia-smi"]
        resources:
          limits:
            nvidia.com/gpu: 1
      restartPolicy: Never
  backoffLimit: 4
"""
NONE_JOB = Template("""\
apiVersion: batch/v1
kind: Job
metadata:
  name: $name
spec:
  template:
    spec:
      runtimeClassName: nvidia
      containers:
      - name: $name
        image: nvidia/cuda:11.0.3-runtime-ubuntu20.04
        command: ["nvidia-smi", "-L"]
        resources:
          limits:
            nvidia.com/gpu: 1
      restartPolicy: Never
  backoffLimit: 4
""")
POD = Template("""\
apiVersion: v1
kind: Pod
metadata:
  name: $name
spec:
  runtimeClassName: nvidia
  containers:
  - name: $container
    image: nvidia/cuda:11.0.3-runtime-ubuntu20.04
    command: ["bash"]
    args: ["-c", "nvidia-smi -L; sleep infinity"]
    resources:
      limits:
        $resource: 1
""")

SMI = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 580.159.04             Driver Version: 580.159.04     CUDA Version: 13.0     |
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA A100 80GB PCIe          On  |   00000001:00:00.0 Off |                    0 |
| N/A   39C    P0             75W /  300W |       0MiB /  81920MiB |      0%      Default |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+
"""
NO_DEVICES = """\
|   0  NVIDIA A100 80GB PCIe          On  |   00000001:00:00.0 Off |                   On |
| N/A   39C    P0             75W /  300W |       0MiB /  81920MiB |     N/A      Default |
|                                         |                        |              Enabled |
+-----------------------------------------+------------------------+----------------------+

+-----------------------------------------------------------------------------------------+
| MIG devices:                                                                            |
+------------------+----------------------------------+-----------+-----------------------+
| GPU  GI  CI  MIG |              Shared Memory-Usage |        Vol|        Shared         |
|      ID  ID  Dev |                Shared BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG |
|                  |                                  |        ECC|                       |
|==================+==================================+===========+=======================|
|  No MIG devices found                                                                   |
"""
PROFILES = """\
|   0  MIG 1g.10gb         19     7/7        9.75       No     14     0     0   |
|   0  MIG 1g.10gb+me      20     1/1        9.75       No     14     1     0   |
|   0  MIG 1g.20gb         15     4/4        19.62      No     14     1     0   |
|   0  MIG 2g.20gb         14     3/3        19.62      No     28     1     0   |
|   0  MIG 3g.40gb          9     2/2        39.50      No     42     2     0   |
|   0  MIG 4g.40gb          5     1/1        39.50      No     56     2     0   |
|   0  MIG 7g.80gb          0     1/1        79.25      No     98     5     0   |
"""
CONTAINERD_RUNTIME = """\
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'nvidia']
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'nvidia'.options]
  BinaryName = "/usr/bin/nvidia-container-runtime"
"""

_EVERYWHERE = {
    "nvidia.com/cuda.driver.major": "580",
    "nvidia.com/cuda.driver.minor": "159",
    "nvidia.com/cuda.driver.rev": "04",
    "nvidia.com/cuda.runtime.major": "13",
    "nvidia.com/cuda.runtime.minor": "0",
    "nvidia.com/gpu.compute.major": "8",
    "nvidia.com/gpu.compute.minor": "0",
    "nvidia.com/gpu.deploy.container-toolkit": "true",
    "nvidia.com/gpu.deploy.dcgm": "true",
    "nvidia.com/gpu.deploy.dcgm-exporter": "true",
    "nvidia.com/gpu.deploy.device-plugin": "true",
    "nvidia.com/gpu.deploy.driver": "true",
    "nvidia.com/gpu.deploy.gpu-feature-discovery": "true",
    "nvidia.com/gpu.deploy.mig-manager": "true",
    "nvidia.com/gpu.deploy.node-status-exporter": "true",
    "nvidia.com/gpu.deploy.operator-validator": "true",
    "nvidia.com/gpu.family": "ampere",
    "nvidia.com/gpu.machine": "Virtual-Machine",
    "nvidia.com/gpu.present": "true",
    "nvidia.com/mig.capable": "true",
    # Not in the tutorial: GPU Feature Discovery has learnt them since.
    "nvidia.com/cuda.driver-version.full": "580.159.04",
    "nvidia.com/cuda.driver-version.major": "580",
    "nvidia.com/cuda.driver-version.minor": "159",
    "nvidia.com/cuda.driver-version.revision": "04",
    "nvidia.com/cuda.runtime-version.full": "13.0",
    "nvidia.com/cuda.runtime-version.major": "13",
    "nvidia.com/cuda.runtime-version.minor": "0",
    "nvidia.com/gpu.mode": "compute",
    "nvidia.com/gpu.sharing-strategy": "none",
    "nvidia.com/mps.capable": "false",
}
NONE_LABELS = _EVERYWHERE | {
    "nvidia.com/gpu.count": "1",
    "nvidia.com/gpu.memory": "81920",
    "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe",
    "nvidia.com/gpu.replicas": "1",
}
SINGLE_LABELS = _EVERYWHERE | {
    "nvidia.com/gpu.count": "7",
    "nvidia.com/gpu.engines.copy": "1",
    "nvidia.com/gpu.engines.decoder": "0",
    "nvidia.com/gpu.engines.encoder": "0",
    "nvidia.com/gpu.engines.jpeg": "0",
    "nvidia.com/gpu.engines.ofa": "0",
    "nvidia.com/gpu.memory": "9984",
    "nvidia.com/gpu.multiprocessors": "14",
    "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb",
    "nvidia.com/gpu.replicas": "1",
    "nvidia.com/gpu.slices.ci": "1",
    "nvidia.com/gpu.slices.gi": "1",
    "nvidia.com/mig.strategy": "single",
}
MIXED_LABELS = _EVERYWHERE | {
    "nvidia.com/gpu.count": "1",
    "nvidia.com/gpu.memory": "81920",
    "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe",
    "nvidia.com/gpu.replicas": "0",
    "nvidia.com/mig-1g.10gb.count": "1",
    "nvidia.com/mig-1g.10gb.engines.copy": "1",
    "nvidia.com/mig-1g.10gb.engines.decoder": "0",
    "nvidia.com/mig-1g.10gb.engines.encoder": "0",
    "nvidia.com/mig-1g.10gb.engines.jpeg": "0",
    "nvidia.com/mig-1g.10gb.engines.ofa": "0",
    "nvidia.com/mig-1g.10gb.multiprocessors": "14",
    "nvidia.com/mig-1g.10gb.product": "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb",
    "nvidia.com/mig-1g.10gb.replicas": "1",
    "nvidia.com/mig-1g.10gb.sharing-strategy": "none",
    "nvidia.com/mig-1g.10gb.slices.ci": "1",
    "nvidia.com/mig-1g.10gb.slices.gi": "1",
    "nvidia.com/mig-2g.20gb.count": "1",
    "nvidia.com/mig-2g.20gb.engines.copy": "2",
    "nvidia.com/mig-2g.20gb.engines.decoder": "1",
    "nvidia.com/mig-2g.20gb.engines.encoder": "0",
    "nvidia.com/mig-2g.20gb.engines.jpeg": "0",
    "nvidia.com/mig-2g.20gb.engines.ofa": "0",
    "nvidia.com/mig-2g.20gb.multiprocessors": "28",
    "nvidia.com/mig-2g.20gb.product": "NVIDIA-A100-80GB-PCIe-MIG-2g.20gb",
    "nvidia.com/mig-2g.20gb.replicas": "1",
    "nvidia.com/mig-2g.20gb.sharing-strategy": "none",
    "nvidia.com/mig-2g.20gb.slices.ci": "2",
    "nvidia.com/mig-2g.20gb.slices.gi": "2",
    "nvidia.com/mig-3g.40gb.count": "1",
    "nvidia.com/mig-3g.40gb.engines.copy": "3",
    "nvidia.com/mig-3g.40gb.engines.decoder": "2",
    "nvidia.com/mig-3g.40gb.engines.encoder": "0",
    "nvidia.com/mig-3g.40gb.engines.jpeg": "0",
    "nvidia.com/mig-3g.40gb.engines.ofa": "0",
    "nvidia.com/mig-3g.40gb.multiprocessors": "42",
    "nvidia.com/mig-3g.40gb.product": "NVIDIA-A100-80GB-PCIe-MIG-3g.40gb",
    "nvidia.com/mig-3g.40gb.replicas": "1",
    "nvidia.com/mig-3g.40gb.sharing-strategy": "none",
    "nvidia.com/mig-3g.40gb.slices.ci": "3",
    "nvidia.com/mig-3g.40gb.slices.gi": "3",
    "nvidia.com/mig.strategy": "mixed",
}
MIXED_MEMORY = {
    "nvidia.com/mig-1g.10gb.memory": (9728, 9984),
    "nvidia.com/mig-2g.20gb.memory": (19968, 20096),
    "nvidia.com/mig-3g.40gb.memory": (40192, 40448),
}
"""MiB with the tutorial's driver and with today's; it is the driver that decides."""
