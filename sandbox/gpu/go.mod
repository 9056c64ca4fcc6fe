module mig-k8s/sandbox/gpu

go 1.26
