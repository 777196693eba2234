{{/* Names and labels. A component is receiver, registrar or rabbitmq; it comes as (dict "root" $ "component" "..."). */}}

{{- define "lapidicom.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 40 characters leave room for what is appended, and for what an operator appends to that. */}}
{{- define "lapidicom.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "lapidicom.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "lapidicom.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "lapidicom.componentName" -}}
{{- printf "%s-%s" (include "lapidicom.fullname" .root) .component }}
{{- end }}

{{/* What selects a component's pods. Nothing in it changes on upgrade: a Deployment's selector is immutable. */}}
{{- define "lapidicom.selectorLabels" -}}
app.kubernetes.io/name: {{ include "lapidicom.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "lapidicom.labels" -}}
{{- $own := fromYaml (include "lapidicom.selectorLabels" .) }}
{{- $_ := set $own "app.kubernetes.io/part-of" "lapidicom" }}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- toYaml (merge $own .root.Values.commonLabels) }}
{{- end }}

{{/* A pod's labels: no version of the chart, which would start every pod anew for a changed comment. */}}
{{- define "lapidicom.podLabels" -}}
{{- $own := fromYaml (include "lapidicom.selectorLabels" .) }}
{{- $_ := set $own "app.kubernetes.io/part-of" "lapidicom" }}
{{- toYaml (merge $own .root.Values.commonLabels) }}
{{- end }}

{{- define "lapidicom.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "lapidicom.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "lapidicom.image" -}}
{{- printf "%s/lapidicom-%s:%s" .root.Values.image.prefix .component (.root.Values.image.tag | default .root.Chart.AppVersion) }}
{{- end }}

{{- define "lapidicom.claimName" -}}
{{- .Values.files.existingClaim | default (printf "%s-files" (include "lapidicom.fullname" .)) }}
{{- end }}

{{/* Host of RabbitMQ's Service, where the chart brings RabbitMQ. */}}
{{- define "lapidicom.rabbitmqName" -}}
{{- include "lapidicom.componentName" (dict "root" . "component" "rabbitmq") }}
{{- end }}

{{/* The Secret with the AMQP address, and its key. */}}
{{- define "lapidicom.amqpSecret" -}}
{{- if eq .Values.rabbitmq.mode "external" }}
name: {{ .Values.rabbitmq.external.existingSecret }}
key: {{ .Values.rabbitmq.external.urlKey }}
{{- else if eq .Values.rabbitmq.mode "cluster" }}
name: {{ include "lapidicom.rabbitmqName" . }}-default-user
key: connection_string
{{- else }}
name: {{ include "lapidicom.rabbitmqName" . }}
key: uri
{{- end }}
{{- end }}

{{/* Where the management API answers, and the Secret with a user for it. */}}
{{- define "lapidicom.management" -}}
{{- $name := include "lapidicom.rabbitmqName" . }}
{{- if eq .Values.rabbitmq.mode "external" }}
{{- with .Values.registrar.autoscaling.keda }}
url: {{ .managementUrl | quote }}
vhost: {{ .vhost | quote }}
secret: {{ .existingSecret }}
usernameKey: {{ .usernameKey }}
passwordKey: {{ .passwordKey }}
{{- end }}
{{- else }}
url: {{ printf "http://%s.%s.svc:15672" $name .Release.Namespace }}
vhost: /
secret: {{ $name }}{{ if eq .Values.rabbitmq.mode "cluster" }}-default-user{{ end }}
usernameKey: username
passwordKey: password
{{- end }}
{{- end }}
