"""GPUs, the MIG instances they can hold, and where each of those begins."""
