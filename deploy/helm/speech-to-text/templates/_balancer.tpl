{{/* What the balancer's Deployment is made of. */}}

{{/* The files of its ConfigMap. */}}
{{- define "stt.balancer.files" -}}
{{- range list "nginx.conf" "render.sh" }}
{{ . }}: |
  {{- $.Files.Get (printf "files/%s" .) | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The container that counts. A sidecar in the sense of Kubernetes: it starts before nginx and ends after it.
*/}}
{{- define "stt.balancer.mtail" -}}
- name: mtail
  restartPolicy: Always
  image: {{ include "stt.mtailImage" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  # The socket, and where /metrics is; the image removes a socket that a killed process has left.
  args: [/run/mtail/lb.sock, 0.0.0.0, "3903"]
  securityContext:
    {{- include "stt.containerSecurity" . | nindent 4 }}
  ports:
    - name: lb-metrics
      containerPort: 3903
  resources:
    {{- toYaml .Values.balancer.mtail.resources | nindent 4 }}
  startupProbe:
    httpGet:
      path: /metrics
      port: lb-metrics
    periodSeconds: 1
    timeoutSeconds: 3
    failureThreshold: 60
  livenessProbe:
    httpGet:
      path: /metrics
      port: lb-metrics
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  volumeMounts:
    - name: metrics-socket
      mountPath: /run/mtail
{{- end -}}

{{/* The variables of deploy/nginx/render.sh. */}}
{{- define "stt.balancer.env" -}}
{{- $balancer := .Values.balancer -}}
# `auto` would be one for each CPU of the node, of which this pod has a few.
- name: NGINX_PROCESSES
  value: "4"
- name: NGINX_RESOLVE
  value: "1"
{{- with $balancer.resolver }}
- name: NGINX_RESOLVER_ADDRESS
  value: {{ . | quote }}
{{- end }}
- name: NGINX_WORKER_ADDRESSES
  value: {{ include "stt.address" (list . "workers" 8000) }}
{{- if .Values.gateway.enabled }}
- name: NGINX_GATEWAY_ADDRESSES
  value: {{ include "stt.address" (list . "gateways" 9090) }}
- name: GATEWAYS
  value: {{ include "stt.gateways" . | quote }}
- name: MAX_CLIENTS
  value: {{ include "stt.setting" (list .Values.gateway.settings "MAX_CLIENTS" 100) | quote }}
{{- end }}
{{- if .Values.collector.enabled }}
- name: NGINX_COLLECTOR_ADDRESS
  value: {{ include "stt.address" (list . "collectors" 8001) }}
{{- end }}
# As the workers have them.
- name: MAX_CONCURRENT_TRANSCRIPTIONS
  value: {{ include "stt.slots" . | quote }}
- name: SHUTDOWN_GRACE_S
  value: {{ include "stt.setting" (list .Values.settings "SHUTDOWN_GRACE_S" 60) | quote }}
{{- range $name := list "MAX_QUEUE_SIZE" "FAIL_FAST_WHEN_BUSY" "MAX_UPLOAD_BYTES" }}
{{- with include "stt.setting" (list $.Values.settings $name "") }}
- name: {{ $name }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
# Each balancer counts for itself.
- name: NGINX_LIMIT_RATE
  value: {{ include "stt.share" (list $balancer.limits.requestsPerSecond $balancer.replicas) | quote }}
- name: NGINX_LIMIT_BURST
  value: {{ include "stt.share" (list $balancer.limits.burst $balancer.replicas) | quote }}
- name: NGINX_LIMIT_CONNECTIONS
  value: {{ include "stt.share" (list $balancer.limits.connections $balancer.replicas) | quote }}
- name: NGINX_LIMIT_STREAMS
  value: {{ include "stt.share" (list (include "stt.balancer.streams" .) $balancer.replicas) | quote }}
{{- with $balancer.trustedNetworks }}
- name: NGINX_TRUSTED_NETWORKS
  value: {{ join " " . | quote }}
{{- end }}
{{- with $balancer.realIpFrom }}
- name: NGINX_REAL_IP_FROM
  value: {{ join " " . | quote }}
{{- end }}
# Behind a Gateway every client has a private address. This network is that of `kubectl port-forward`.
- name: NGINX_INTERNAL_FROM
  value: {{ prepend $balancer.internalFrom "127.0.0.0/8" | join " " | quote }}
{{- if $balancer.mtail.enabled }}
- name: NGINX_METRICS_SOCKET
  value: /run/mtail/lb.sock
{{- end }}
{{- end -}}

{{/* Live streams that one address may have: as given, or nine in ten of all. */}}
{{- define "stt.balancer.streams" -}}
{{- if .Values.balancer.limits.streams -}}
{{- .Values.balancer.limits.streams -}}
{{- else if .Values.gateway.enabled -}}
{{- $clients := include "stt.setting" (list .Values.gateway.settings "MAX_CLIENTS" 100) -}}
{{- mulf 0.9 (include "stt.gateways" . | float64) (float64 $clients) | ceil | int | max 1 -}}
{{- else -}}
1
{{- end -}}
{{- end -}}
