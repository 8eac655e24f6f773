{{/* files/alerts.yaml with this release's names and numbers in it. */}}
{{- define "tocsin.alerts" -}}
{{- $rules := .Values.monitoring.rules -}}
{{- $topics := list -}}
{{- range include "tocsin.setting" (dict "root" . "name" "matcher.event_topics") | fromJsonArray -}}
{{- $topics = append $topics (replace "." "[.]" .) -}}
{{- end -}}
{{- $prefix := include "tocsin.setting" (dict "root" . "name" "topics.prefix") | trimAll "\"" -}}
{{- .Files.Get "files/alerts.yaml"
  | replace "@selector@" (printf "namespace=%q, job=%q" .Release.Namespace .Release.Name)
  | replace "@event-topics@" (join "|" $topics)
  | replace "@jobs-topic@" (printf "%swebhook-jobs" $prefix | replace "." "[.]")
  | replace "@lag@" (int64 $rules.lag | toString)
  | replace "@failure-share@" (toString $rules.failureShare)
  | replace "@oldest-job-seconds@" (int64 $rules.oldestJobSeconds | toString) -}}
{{- end -}}
