"""A stand-in of NVIDIA's GPU Operator: its chart, and the images its pods run (the program is in tools/kubernetes)."""
