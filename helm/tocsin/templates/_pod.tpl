{{/* What every pod of Tocsin has in common. */}}

{{- define "tocsin.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "tocsin.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The variables of a component. Takes root, component, created. */}}
{{- define "tocsin.env" -}}
- name: TOCSIN_CONFIG
  value: /etc/tocsin/config/tocsin.yaml
{{- include "tocsin.fileVariables" . }}
{{- if and .root.Values.ruleSecrets.existingSecret (has .component (list "sender" "admin")) }}
- name: TOCSIN_SECRETS__DIRECTORY
  value: /etc/tocsin/rule-secrets
{{- end }}
{{- end -}}

{{- define "tocsin.mounts" -}}
- name: config
  mountPath: /etc/tocsin/config
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if include "tocsin.fileSources" . }}
- name: secrets
  mountPath: /etc/tocsin/secrets
  readOnly: true
{{- end }}
{{- if and .root.Values.ruleSecrets.existingSecret (has .component (list "sender" "admin")) }}
- name: rule-secrets
  mountPath: /etc/tocsin/rule-secrets
  readOnly: true
{{- end }}
{{- end -}}

{{/* Takes also config: the name of the ConfigMap with tocsin.yaml. */}}
{{- define "tocsin.volumes" -}}
- name: config
  configMap:
    name: {{ .config }}
    items:
      - key: tocsin.yaml
        path: tocsin.yaml
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with include "tocsin.fileSources" . }}
- name: secrets
  projected:
    defaultMode: 0440
    sources: {{- . | trim | nindent 6 }}
{{- end }}
{{- if and .root.Values.ruleSecrets.existingSecret (has .component (list "sender" "admin")) }}
- name: rule-secrets
  secret:
    secretName: {{ .root.Values.ruleSecrets.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "tocsin.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tocsin.probes" -}}
# Reading a long rule table and compiling it come before readiness, not before being alive.
startupProbe:
  httpGet: {path: /healthz, port: telemetry}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: telemetry}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: telemetry}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* The pod template of a role. Takes root, component and values: the role's own part of them. */}}
{{- define "tocsin.rolePod" -}}
{{- $fullname := include "tocsin.fullname" .root -}}
{{- $parts := dict "root" .root "component" .component "created" $fullname "config" $fullname -}}
metadata:
  labels:
    {{- include "tocsin.labels" . | nindent 4 }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed setting or secret of the release restarts its pods.
    checksum/config: {{ include "tocsin.config" .root | sha256sum }}
    checksum/secret: {{ toJson .root.Values.createSecret | sha256sum }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tocsin.serviceAccountName" .root }}
  automountServiceAccountToken: false
  # A Service named after the release would set TOCSIN_… variables, which Tocsin would take for settings.
  enableServiceLinks: false
  {{- with include "tocsin.pullSecrets" .root }}
  {{- . | trim | nindent 2 }}
  {{- end }}
  # SIGTERM makes a role drain for process.shutdown_timeout by itself, so there is no preStop hook.
  terminationGracePeriodSeconds: {{ include "tocsin.gracePeriod" .root }}
  securityContext: {{- include "tocsin.podSecurity" . | nindent 4 }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
  {{- if .values.topologySpreadConstraints }}
    {{- range .values.topologySpreadConstraints }}
    {{- $own := deepCopy . }}
    {{- if not $own.labelSelector }}
    {{- $_ := set $own "labelSelector" (dict "matchLabels" (include "tocsin.selectorLabels" $ | fromYaml)) }}
    {{- end }}
    - {{- toYaml $own | nindent 6 }}
    {{- end }}
  {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "tocsin.selectorLabels" . | nindent 10 }}
  {{- end }}
  containers:
    - name: tocsin-{{ .component }}
      image: {{ include "tocsin.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: [run, {{ .component }}]
      env:
        {{- include "tocsin.env" $parts | nindent 8 }}
        {{- if and (has .component (list "matcher" "sender")) (eq .values.kind "StatefulSet") }}
        - name: TOCSIN_{{ upper .component }}__INSTANCE_ID
          valueFrom:
            fieldRef: {fieldPath: metadata.name}
        {{- end }}
        {{- if and (eq .component "matcher") .values.cache.enabled }}
        - name: TOCSIN_MATCHER__CACHE_DIRECTORY
          value: /var/cache/tocsin/patterns
        {{- end }}
        {{- with .values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: telemetry
          containerPort: 9464
        {{- if eq .component "admin" }}
        - name: api
          containerPort: 8080
        {{- end }}
      {{- include "tocsin.probes" . | nindent 6 }}
      resources: {{- toYaml .values.resources | nindent 8 }}
      securityContext: {{- include "tocsin.containerSecurity" . | nindent 8 }}
      volumeMounts:
        {{- include "tocsin.mounts" $parts | nindent 8 }}
        {{- if and (eq .component "matcher") .values.cache.enabled }}
        - name: cache
          mountPath: /var/cache/tocsin
        {{- end }}
  volumes:
    {{- include "tocsin.volumes" $parts | nindent 4 }}
    {{- if and (eq .component "matcher") .values.cache.enabled }}
    - name: cache
      emptyDir:
        sizeLimit: {{ .values.cache.sizeLimit }}
    {{- end }}
{{- end -}}

{{- define "tocsin.gracePeriod" -}}
{{- add (include "tocsin.seconds" (include "tocsin.setting" (dict "root" . "name" "process.shutdown_timeout") | trimAll "\"")) 10 -}}
{{- end -}}
