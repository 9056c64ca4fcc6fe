{{/* The API server at the node's own address: the sandbox has no kube-proxy, and so no way to a Service's address. */}}
{{- define "gpu-operator.api" -}}
- name: KUBERNETES_SERVICE_HOST
  valueFrom: {fieldRef: {fieldPath: status.hostIP}}
- name: KUBERNETES_SERVICE_PORT
  value: "6443"
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end -}}
