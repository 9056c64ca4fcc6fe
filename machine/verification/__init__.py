"""The proof that the cluster offers exactly the GPU devices that the plan expects."""
