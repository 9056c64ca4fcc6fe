"""Layouts that the GPU Operator's MIG Manager makes; only `pulumi up` calls this, and brings it."""
