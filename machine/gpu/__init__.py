"""The GPUs of a machine: read through nvidia-smi, compared with a layout, changed."""
