"""What `rke2 server` does on a machine: runs there with the machine's own Python; standard library and PyYAML only."""
