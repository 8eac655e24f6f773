{{/* Tocsin's settings: the file, the variables that point to secrets, and what the chart itself has to know of
them. files/settings.yaml says the defaults, and which settings are paths. */}}

{{- define "tocsin.known" -}}
{{- .Files.Get "files/settings.yaml" -}}
{{- end -}}

{{/* One setting in force, as text: takes root and name, such as "topics.prefix". */}}
{{- define "tocsin.setting" -}}
{{- $value := (include "tocsin.known" .root | fromYaml).defaults -}}
{{- $given := .root.Values.config -}}
{{- range splitList "." .name -}}
{{- $value = get $value . -}}
{{- if kindIs "map" $given -}}
{{- $given = get $given . -}}
{{- else -}}
{{- $given = "" -}}
{{- end -}}
{{- end -}}
{{- if or (kindIs "invalid" $given) (and (kindIs "string" $given) (eq $given "")) -}}
{{- $value | toJson -}}
{{- else -}}
{{- $given | toJson -}}
{{- end -}}
{{- end -}}

{{/* tocsin.yaml: what the values say, and what the chart decides. */}}
{{- define "tocsin.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $telemetry := mergeOverwrite (deepCopy ($config.telemetry | default dict)) (dict "listen" (printf "%s:9464" .Values.listenAddress)) -}}
{{- $_ := set $config "telemetry" $telemetry -}}
{{- $_ = set $config "admin" (mergeOverwrite (deepCopy ($config.admin | default dict)) (dict "listen" (printf "%s:8080" .Values.listenAddress))) -}}
{{- if .Values.scanner.enabled -}}
{{- $scanner := dict "sources" (list "cri") "cri_path" "/var/log/pods" "state_directory" "/var/lib/tocsin" -}}
{{- $_ = set $config "scanner" (mergeOverwrite (deepCopy ($config.scanner | default dict)) $scanner) -}}
{{- end -}}
{{- if .Values.tests.enabled -}}
{{- $sender := deepCopy ($config.sender | default dict) -}}
{{- $egress := $sender.egress | default dict -}}
{{- $_ = set $egress "allow_hosts" (append ($egress.allow_hosts | default list) (include "tocsin.probeHost" .) | uniq) -}}
{{- if $egress.allow_ports -}}
{{- $_ = set $egress "allow_ports" (append $egress.allow_ports 8099 | uniq) -}}
{{- end -}}
{{- $_ = set $sender "egress" $egress -}}
{{- $_ = set $config "sender" $sender -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "tocsin.probeHost" -}}
{{- printf "%s-probe.%s.svc" (include "tocsin.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* Which groups of settings a component gets secrets of: {"groups": [...]} as JSON. */}}
{{- define "tocsin.groups" -}}
{{- $groups := dict
  "matcher" (list "kafka" "telemetry")
  "scanner" (list "kafka" "telemetry")
  "sender" (list "kafka" "telemetry" "secrets" "sender")
  "admin" (list "kafka" "telemetry" "secrets" "sender" "admin")
-}}
{{- dict "groups" (get $groups . | default (list "kafka" "secrets" "sender")) | toJson -}}
{{- end -}}

{{/* The settings that a component reads from files, {setting: {secret|configMap, key}} as JSON. Takes root,
component and created: the name of the Secret with createSecret. */}}
{{- define "tocsin.fromFiles" -}}
{{- $groups := (include "tocsin.groups" .component | fromJson).groups -}}
{{- $from := dict -}}
{{- $all := dict -}}
{{- range $setting, $where := .root.Values.settingsFrom -}}
{{- $_ := set $all $setting $where -}}
{{- end -}}
{{- $holder := has .component (list "hook" "doctor" "probe") | ternary "jobs" .component -}}
{{- if has $holder (list "matcher" "sender" "admin" "scanner" "jobs") -}}
{{- range $setting, $where := (get .root.Values $holder).settingsFrom -}}
{{- $_ := set $all $setting $where -}}
{{- end -}}
{{- end -}}
{{- range $setting, $where := $all -}}
{{- if hasKey $.root.Values.createSecret $setting -}}
{{- fail (printf "%s is in settingsFrom and in createSecret; leave one of them out" $setting) -}}
{{- end -}}
{{- if has (splitList "." $setting | first) $groups -}}
{{- $_ := set $from $setting $where -}}
{{- end -}}
{{- end -}}
{{- $created := .created -}}
{{- range $setting, $value := .root.Values.createSecret -}}
{{- if has (splitList "." $setting | first) $groups -}}
{{- $_ := set $from $setting (dict "secret" $created "key" $setting) -}}
{{- end -}}
{{- end -}}
{{- $from | toJson -}}
{{- end -}}

{{/* The variables for them: a path as it is, anything else through _FILE. */}}
{{- define "tocsin.fileVariables" -}}
{{- $paths := (include "tocsin.known" .root | fromYaml).paths -}}
{{- range $setting, $_ := include "tocsin.fromFiles" . | fromJson }}
- name: TOCSIN_{{ $setting | replace "." "__" | upper }}{{ has $setting $paths | ternary "" "_FILE" }}
  value: /etc/tocsin/secrets/{{ $setting }}
{{- end }}
{{- end -}}

{{- define "tocsin.fileSources" -}}
{{- range $setting, $where := include "tocsin.fromFiles" . | fromJson }}
- {{ hasKey $where "secret" | ternary "secret" "configMap" }}:
    name: {{ $where.secret | default $where.configMap }}
    items:
      - key: {{ $where.key | quote }}
        path: {{ $setting }}
{{- end }}
{{- end -}}

{{/* Durations: 90s, 1m. */}}
{{- define "tocsin.milliseconds" -}}
{{- $unit := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $unit (regexFind "[a-z]+$" .)) -}}
{{- end -}}

{{- define "tocsin.seconds" -}}
{{- div (add (include "tocsin.milliseconds" . | int64) 999) 1000 -}}
{{- end -}}

{{/* A number of milliseconds in the largest whole unit: 60000 is 1m. */}}
{{- define "tocsin.duration" -}}
{{- $ms := . | int64 -}}
{{- $written := "" -}}
{{- range list (list "d" 86400000) (list "h" 3600000) (list "m" 60000) (list "s" 1000) (list "ms" 1) -}}
{{- if and (not $written) (eq 0 (mod $ms (last .) | int)) -}}
{{- $written = printf "%d%s" (div $ms (last .)) (first .) -}}
{{- end -}}
{{- end -}}
{{- $written -}}
{{- end -}}

{{/* The brokers' ports in a NetworkPolicy. */}}
{{- define "tocsin.kafkaPorts" -}}
{{- $ports := .Values.networkPolicy.kafka.ports -}}
{{- if not $ports -}}
{{- range splitList "," (include "tocsin.setting" (dict "root" . "name" "kafka.bootstrap_servers") | trimAll "\"") -}}
{{- $ports = append ($ports | default list) (regexFind ":[0-9]+$" (trim .) | trimPrefix ":" | default "9092" | int) -}}
{{- end -}}
{{- end -}}
{{- range uniq $ports }}
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end -}}
