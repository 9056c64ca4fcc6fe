{{/* What the stand-in cannot do is said at once, not waited for in vain. */}}
{{- define "gpu-operator.checks" -}}
{{- range $component := list "driver" "toolkit" -}}
{{- if (index $.Values $component).enabled -}}
{{- fail (printf "%s.enabled=true: the GPU Operator's stand-in cannot install a %s from a container; the machine brings it: set %s.enabled=false" $component $component $component) -}}
{{- end -}}
{{- end -}}
{{- $config := .Values.migManager.config -}}
{{- if and $config.create (or (not $config.name) (not (index $config.data "config.yaml"))) -}}
{{- fail "migManager.config.create=true needs migManager.config.name and migManager.config.data with the key config.yaml" -}}
{{- end -}}
{{- $plugin := .Values.devicePlugin.config -}}
{{- if and $plugin.create (or (not $plugin.name) (not $plugin.data)) -}}
{{- fail "devicePlugin.config.create=true needs devicePlugin.config.name and devicePlugin.config.data" -}}
{{- end -}}
{{- end -}}
