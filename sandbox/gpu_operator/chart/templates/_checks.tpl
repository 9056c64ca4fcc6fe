{{/* What the stand-in cannot do is said at once, not waited for in vain. */}}
{{- define "gpu-operator.checks" -}}
{{- range $component := list "driver" "toolkit" -}}
{{- if (index $.Values $component).enabled -}}
{{- fail (printf "%s.enabled=true: the GPU Operator's stand-in cannot install a %s from a container; the machine brings it: set %s.enabled=false" $component $component $component) -}}
{{- end -}}
{{- end -}}
{{- if .Values.migManager.enabled -}}
{{- fail "migManager.enabled=true: MIG Manager is not stood in for yet: set migManager.enabled=false" -}}
{{- end -}}
{{- end -}}
