module mig-k8s/sandbox/rke2/program

go 1.25.0
