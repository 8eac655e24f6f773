{{/* Parts of NetworkPolicies. */}}

{{/* Egress of every pod: brokers, DNS, and what is asked for. */}}
{{- define "tocsin.commonEgress" -}}
- ports: {{- include "tocsin.kafkaPorts" . | trim | nindent 4 }}
  {{- with .Values.networkPolicy.kafka.to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
- ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.dns.to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Egress to receivers: of the sender, and of the admin API, which tries rules. */}}
{{- define "tocsin.receiverEgress" -}}
{{- $receivers := .Values.networkPolicy.receivers -}}
{{- if or $receivers.cidrs $receivers.to }}
- to:
    {{- range $receivers.cidrs }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
    {{- with $receivers.to }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $receivers.ports }}
  ports:
    {{- range . }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- end }}
{{- end }}
{{- if .Values.tests.enabled }}
- to:
    - podSelector:
        matchLabels: {{- include "tocsin.selectorLabels" (dict "root" . "component" "probe") | nindent 10 }}
  ports:
    - {port: 8099, protocol: TCP}
{{- end }}
{{- end -}}
