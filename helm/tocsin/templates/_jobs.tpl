{{/* Jobs, and what they need before the release's own objects are there: a copy of the settings and of
createSecret, and a way to the brokers. */}}

{{/* Takes root, suffix, component, annotations and data: further files of the ConfigMap. */}}
{{- define "tocsin.jobSettings" -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "tocsin.metadata" . | nindent 2 }}
data:
  tocsin.yaml: |
    {{- include "tocsin.config" .root | nindent 4 }}
  {{- range $file, $text := .data }}
  {{ $file }}: |
    {{- $text | nindent 4 }}
  {{- end }}
{{- if .root.Values.createSecret }}
---
apiVersion: v1
kind: Secret
metadata: {{- include "tocsin.metadata" . | nindent 2 }}
type: Opaque
data:
  {{- range $setting, $value := .root.Values.createSecret }}
  {{ $setting }}: {{ $value | b64enc }}
  {{- end }}
{{- end }}
{{- if .root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "tocsin.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "tocsin.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress: {{- include "tocsin.commonEgress" .root | nindent 4 }}
{{- end }}
{{- end -}}

{{/* A Job. Takes root, suffix, component, annotations, args, settings (the name of ConfigMap and Secret), and
files: nothing, or the name of a ConfigMap and the items of it (nothing: all) to mount at /etc/tocsin/files. */}}
{{- define "tocsin.job" -}}
apiVersion: batch/v1
kind: Job
metadata: {{- include "tocsin.metadata" . | nindent 2 }}
spec:
  backoffLimit: {{ .root.Values.jobs.backoffLimit }}
  activeDeadlineSeconds: {{ .root.Values.jobs.activeDeadlineSeconds }}
  template: {{- include "tocsin.jobPod" . | nindent 4 }}
{{- end -}}

{{- define "tocsin.jobPod" -}}
metadata:
  labels: {{- include "tocsin.labels" . | nindent 4 }}
spec: {{- include "tocsin.jobPodSpec" . | nindent 2 }}
{{- end -}}

{{- define "tocsin.jobPodSpec" -}}
{{- $parts := dict "root" .root "component" .component "created" .settings "config" .settings -}}
restartPolicy: Never
# The release's own account is not there yet when hooks run.
serviceAccountName: {{ .root.Values.serviceAccount.create | ternary "default" (include "tocsin.serviceAccountName" .root) }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "tocsin.pullSecrets" .root }}
securityContext: {{- include "tocsin.podSecurity" . | nindent 2 }}
containers:
  - name: tocsin
    image: {{ include "tocsin.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args: {{- toYaml .args | nindent 6 }}
    env:
      {{- include "tocsin.env" $parts | nindent 6 }}
    resources: {{- toYaml .root.Values.jobs.resources | nindent 6 }}
    securityContext: {{- include "tocsin.containerSecurity" . | nindent 6 }}
    volumeMounts:
      {{- include "tocsin.mounts" $parts | nindent 6 }}
      {{- if .files }}
      - name: files
        mountPath: /etc/tocsin/files
        readOnly: true
      {{- end }}
volumes:
  {{- include "tocsin.volumes" $parts | nindent 2 }}
  {{- with .files }}
  - name: files
    configMap:
      name: {{ .name }}
      {{- with .items }}
      items:
      {{- range . }}
        - key: {{ . }}
          path: {{ . }}
      {{- end }}
      {{- end }}
  {{- end }}
{{- end -}}

{{/* Annotations of a hook as YAML; takes on (the events) and weight. What failed stays to be looked at. */}}
{{- define "tocsin.hook" -}}
helm.sh/hook: {{ .on }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
helm.sh/hook-output-log-policy: hook-failed
{{- end -}}

{{- define "tocsin.documents" -}}
{{- range . }}
---
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What `apply` of rules is asked for; takes root, command and job (rulesJob or scanRulesJob). */}}
{{- define "tocsin.applyArgs" -}}
- {{ .command }}
- apply
- -f
- /etc/tocsin/files
- --set
- {{ .root.Release.Name | quote }}
{{- if .job.prune }}
- --prune
{{- end }}
{{- if .job.allowEmpty }}
- --yes
{{- end }}
- --timeout
- {{ .root.Values.jobs.brokerTimeout }}
{{- end -}}
