{{/* What the pods of both services have in common; each takes (dict "root" $ "component" "receiver"). */}}

{{- define "lapidicom.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end }}

{{- define "lapidicom.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.securityContext }}
{{- if not (kindIs "invalid" .runAsUser) }}
runAsUser: {{ int64 .runAsUser }}
{{- end }}
runAsGroup: {{ int64 .runAsGroup }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* As above, and the groups by which the volume is written. */}}
{{- define "lapidicom.podSecurityWithFiles" -}}
{{- include "lapidicom.podSecurity" . }}
{{- $group := .Values.files.fsGroup }}
{{- if and (kindIs "invalid" $group) .Values.files.size }}
{{- $group = 0 }}
{{- end }}
{{- if not (kindIs "invalid" $group) }}
fsGroup: {{ int64 $group }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- with .Values.files.supplementalGroups }}
supplementalGroups: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Content of the Secrets that are given: pods start anew when an upgrade finds another one. */}}
{{- define "lapidicom.secretsChecksum" -}}
{{- $namespace := .Release.Namespace }}
{{- $seen := list }}
{{- range list (ternary .Values.rabbitmq.external.existingSecret "" (eq .Values.rabbitmq.mode "external")) .Values.cube.existingSecret .Values.trustedCertificates.existingSecret .Values.nats.existingSecret }}
{{- if . }}
{{- $seen = append $seen ((lookup "v1" "Secret" $namespace .).data | default dict) }}
{{- end }}
{{- end }}
{{- toJson $seen | sha256sum }}
{{- end }}

{{- define "lapidicom.podMeta" -}}
{{- $own := index .root.Values .component -}}
annotations:
  checksum/secrets: {{ include "lapidicom.secretsChecksum" .root }}
  {{- with $own.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- toYaml (merge (fromYaml (include "lapidicom.podLabels" .)) $own.podLabels) | nindent 2 }}
{{- end }}

{{/* Service account, security, grace, placing. */}}
{{- define "lapidicom.podSpec" -}}
{{- $own := index .root.Values .component }}
{{- $files := .root.Values.files -}}
serviceAccountName: {{ include "lapidicom.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add $own.shutdownGrace 30 }}
securityContext:
  {{- include "lapidicom.podSecurityWithFiles" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $affinity := deepCopy $own.affinity }}
{{- if eq $files.accessMode "ReadWriteOnce" }}
{{- $toCube := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $files.cubePodLabels) }}
{{- $pods := $affinity.podAffinity | default dict }}
{{- $terms := append ($pods.requiredDuringSchedulingIgnoredDuringExecution | default list) $toCube }}
{{- $_ := set $pods "requiredDuringSchedulingIgnoredDuringExecution" $terms }}
{{- $_ := set $affinity "podAffinity" $pods }}
{{- end }}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- if $own.topologySpreadConstraints }}
  {{- toYaml $own.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- $selector := include "lapidicom.selectorLabels" . }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}

{{/* Image, probes, pause before SIGTERM, resources, security. */}}
{{- define "lapidicom.container" -}}
{{- $own := index .root.Values .component -}}
image: {{ include "lapidicom.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
startupProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
lifecycle:
  preStop:
    exec:
      command: [sleep, {{ $own.preStopSeconds | quote }}]
resources:
  {{- toYaml $own.resources | nindent 2 }}
securityContext:
  {{- include "lapidicom.containerSecurity" . | nindent 2 }}
{{- end }}

{{/* Variables of both services. Secrets come as files: what stands in the environment is inherited, dumped and shown. */}}
{{- define "lapidicom.commonEnv" -}}
{{- $v := .root.Values -}}
- {name: AMQP_URL_FILE, value: /run/secrets/lapidicom/amqp/url}
- {name: CHRIS_FILES_ROOT, value: {{ $v.files.mountPath | quote }}}
{{- if $v.nats.existingSecret }}
- {name: CHRIS_NATS_URL_FILE, value: /run/secrets/lapidicom/nats/url}
{{- end }}
- {name: CHRIS_RETRY_DELAYS, value: {{ join "," $v.delays.retry | quote }}}
- {name: CHRIS_PARK_DELAY, value: {{ $v.delays.park | quote }}}
- {name: CHRIS_SHUTDOWN_GRACE, value: {{ (index $v .component).shutdownGrace | quote }}}
- {name: CHRIS_SCP_AET, value: {{ $v.receiver.aeTitle | quote }}}
{{- $addresses := list }}
{{- range $title, $address := $v.pacs.addresses }}
{{- $addresses = append $addresses (printf "%s=%s" $title $address) }}
{{- end }}
- {name: CHRIS_PACS_ADDRESS, value: {{ join "," $addresses | quote }}}
- {name: CHRIS_PACS_TIMEOUT, value: {{ $v.pacs.timeoutSeconds | quote }}}
- {name: HEALTH_PORT, value: "8080"}
- {name: LOG_FORMAT, value: {{ $v.log.format | quote }}}
- {name: CHRIS_VERBOSE, value: {{ ternary "yes" "no" $v.log.verbose | quote }}}
{{- if $v.trustedCertificates.existingSecret }}
- {name: SSL_CERT_FILE, value: /run/secrets/lapidicom/trust/ca.crt}
{{- end }}
{{- end }}

{{/* Variables that the values name themselves. */}}
{{- define "lapidicom.furtherEnv" -}}
{{- range $name, $value := (index .root.Values .component).settings }}
- {name: {{ $name }}, value: {{ include "lapidicom.text" $value | quote }}}
{{- end }}
{{- range $name, $value := .root.Values.otel }}
- {name: {{ $name }}, value: {{ include "lapidicom.text" $value | quote }}}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Variables of the registrar, and of `lapidicom heal` beside it. */}}
{{- define "lapidicom.registrarEnv" -}}
{{- $root := .root -}}
{{ include "lapidicom.commonEnv" . }}
{{- range $component := list "receiver" "registrar" }}
- name: CHRIS_{{ upper $component }}_URL
  value: http://{{ include "lapidicom.componentName" (dict "root" $root "component" $component) }}-pods:8080
{{- end }}
- {name: CHRIS_URL, value: {{ $root.Values.cube.url | quote }}}
- {name: CHRIS_USERNAME_FILE, value: /run/secrets/lapidicom/cube/username}
- {name: CHRIS_PASSWORD_FILE, value: /run/secrets/lapidicom/cube/password}
- {name: REGISTRATION_UNIT, value: {{ $root.Values.registrationUnit | quote }}}
- {name: CHRIS_PUSHER_THREADS, value: {{ $root.Values.registrar.pusherThreads | quote }}}
- {name: LAPIDICOM_AUDIT_LOG, value: {{ $root.Values.registrar.auditLog | quote }}}
{{- include "lapidicom.furtherEnv" . }}
{{- end }}

{{/* A value as a setting's text. YAML's numbers arrive as floats: 1000000 must not become 1e+06. */}}
{{- define "lapidicom.text" -}}
{{- if kindIs "bool" . }}{{ ternary "yes" "no" . }}
{{- else if kindIs "float64" . }}{{ if eq . (floor .) }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end }}
{{- else }}{{ . }}{{ end }}
{{- end }}

{{- define "lapidicom.commonMounts" -}}
- name: files
  mountPath: {{ .root.Values.files.mountPath }}
  {{- with .root.Values.files.subPath }}
  subPath: {{ . }}
  {{- end }}
  {{- if eq .component "registrar" }}
  readOnly: true
  {{- end }}
- {name: amqp, mountPath: /run/secrets/lapidicom/amqp, readOnly: true}
{{- if .root.Values.nats.existingSecret }}
- {name: nats, mountPath: /run/secrets/lapidicom/nats, readOnly: true}
{{- end }}
{{- if .root.Values.trustedCertificates.existingSecret }}
- {name: trust, mountPath: /run/secrets/lapidicom/trust, readOnly: true}
{{- end }}
{{- end }}

{{/* Readable by every user and group that securityContext may name: one process lives in the pod. */}}
{{- define "lapidicom.commonVolumes" -}}
{{- $amqp := fromYaml (include "lapidicom.amqpSecret" .root) -}}
- name: files
  persistentVolumeClaim:
    claimName: {{ include "lapidicom.claimName" .root }}
- name: amqp
  secret:
    secretName: {{ $amqp.name }}
    defaultMode: 0444
    items:
      - {key: {{ $amqp.key }}, path: url}
{{- with .root.Values.nats }}
{{- if .existingSecret }}
- name: nats
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0444
    items:
      - {key: {{ .urlKey }}, path: url}
{{- end }}
{{- end }}
{{- with .root.Values.trustedCertificates }}
{{- if .existingSecret }}
- name: trust
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0444
    items:
      - {key: {{ .key }}, path: ca.crt}
{{- end }}
{{- end }}
{{- end }}
