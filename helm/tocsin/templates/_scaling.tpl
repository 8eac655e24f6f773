{{/* Slowly down: each change moves partitions. Takes a role's scaling. */}}
{{- define "tocsin.scaleDown" -}}
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownDelay }}
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end -}}
