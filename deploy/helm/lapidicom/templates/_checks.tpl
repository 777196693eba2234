{{/* What values.schema.json cannot say: rules over several values. All faults at once, each as one line. */}}

{{- define "lapidicom.checks" -}}
{{- $v := .Values }}
{{- $faults := list }}

{{- if not $v.image.prefix }}
{{- $faults = append $faults "image.prefix is not set: where the images are, such as registry.example.org/your-organisation" }}
{{- end }}
{{- if not $v.cube.url }}
{{- $faults = append $faults "cube.url is not set: CUBE's API, such as http://chris:8000/api/v1/" }}
{{- end }}
{{- if not $v.cube.existingSecret }}
{{- $faults = append $faults "cube.existingSecret is not set: a Secret with CUBE's user and password" }}
{{- end }}

{{- if and $v.files.existingClaim $v.files.size }}
{{- $faults = append $faults "files.existingClaim and files.size are both set: use CUBE's claim, or make one" }}
{{- else if not (or $v.files.existingClaim $v.files.size) }}
{{- $faults = append $faults "files.existingClaim or files.size must be set: the volume with CUBE's files" }}
{{- end }}
{{- if and (eq $v.files.accessMode "ReadWriteOnce") (not $v.files.cubePodLabels) }}
{{- $faults = append $faults "files.accessMode=ReadWriteOnce needs files.cubePodLabels: such a volume is on one node at a time, so all pods must run on CUBE's" }}
{{- end }}

{{- if and (eq $v.rabbitmq.mode "external") (not $v.rabbitmq.external.existingSecret) }}
{{- $faults = append $faults "rabbitmq.external.existingSecret is not set: a Secret with RabbitMQ's address (or choose rabbitmq.mode cluster or trial)" }}
{{- end }}

{{- $scaling := $v.registrar.autoscaling }}
{{- $most := ternary $v.registrar.replicas $scaling.maxReplicas (eq $scaling.kind "none") | int }}
{{- $atOnce := mul $most (int $v.registrar.pusherThreads) | int }}
{{- if gt $atOnce (int $v.cube.concurrentRequests) }}
{{- $faults = append $faults (printf "%d registrars x registrar.pusherThreads=%d are %d registrations at once, more than cube.concurrentRequests=%d: what CUBE cannot serve only waits there, until it times out" $most (int $v.registrar.pusherThreads) $atOnce (int $v.cube.concurrentRequests)) }}
{{- end }}
{{- if and (ne $scaling.kind "none") (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- $faults = append $faults (printf "registrar.autoscaling.minReplicas=%d is more than maxReplicas=%d" (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{- end }}
{{- if and (eq $scaling.kind "keda") (eq $v.rabbitmq.mode "external") }}
{{- if not (and $scaling.keda.managementUrl $scaling.keda.existingSecret) }}
{{- $faults = append $faults "registrar.autoscaling.kind=keda with rabbitmq.mode=external needs registrar.autoscaling.keda.managementUrl and .existingSecret: KEDA asks RabbitMQ's management API for the queue's length" }}
{{- end }}
{{- end }}

{{- if or (not (regexMatch "^[ -\\[\\]-~]+$" $v.receiver.aeTitle)) (not (trim $v.receiver.aeTitle)) }}
{{- $faults = append $faults (printf "receiver.aeTitle=%q: an AE title is 1 to 16 printable ASCII characters without backslash (PS3.5 6.2)" $v.receiver.aeTitle) }}
{{- end }}
{{- $service := $v.receiver.service }}
{{- if and $service.nodePort (eq $service.type "ClusterIP") }}
{{- $faults = append $faults "receiver.service.nodePort is set, but receiver.service.type is ClusterIP: use NodePort or LoadBalancer" }}
{{- end }}
{{- if and (or $service.loadBalancerClass $service.loadBalancerSourceRanges) (ne $service.type "LoadBalancer") }}
{{- $faults = append $faults (printf "receiver.service.loadBalancerClass and loadBalancerSourceRanges have no effect with receiver.service.type=%s" $service.type) }}
{{- end }}
{{- if and (ne (toString $v.receiver.listenerProcesses) "auto") (lt (int $v.receiver.listenerThreads) (int $v.receiver.listenerProcesses)) }}
{{- $faults = append $faults (printf "receiver.listenerThreads=%d is less than receiver.listenerProcesses=%d: each listener needs a place" (int $v.receiver.listenerThreads) (int $v.receiver.listenerProcesses)) }}
{{- end }}
{{- range list "receiver" "registrar" }}
{{- if hasKey (index $v . "podLabels") "app.kubernetes.io/component" }}
{{- $faults = append $faults (printf "%s.podLabels may not set app.kubernetes.io/component: it selects the pods" .) }}
{{- end }}
{{- end }}

{{- if $faults }}
{{- fail (printf "\n\nThese values cannot work:\n  - %s\n" (join "\n  - " $faults)) }}
{{- end }}
{{- end }}
