{{/* Parts of NetworkPolicies. */}}

{{/* The pods of one component, as a peer. Takes ctx. */}}
{{- define "stt.peer" -}}
- podSelector:
    matchLabels:
      {{- include "stt.selector" . | nindent 6 }}
{{- end -}}

{{- define "stt.egress.dns" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end -}}

{{/* To one port of given peers, or of anybody. Takes (list port peers). */}}
{{- define "stt.egress.port" -}}
- ports:
    - port: {{ index . 0 }}
  {{- with index . 1 }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* To the model hub. */}}
{{- define "stt.egress.hub" -}}
{{ include "stt.egress.port" (list 443 list) }}
{{- with .Values.model.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Reading metrics. Takes (list root port). */}}
{{- define "stt.ingress.metrics" -}}
{{- with (index . 0).Values.networkPolicy.metricsFrom -}}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - port: {{ index $ 1 }}
{{- end -}}
{{- end -}}

{{/* From the balancer to one port. Takes (list root port). */}}
{{- define "stt.ingress.balancer" -}}
- from:
    {{- include "stt.peer" (dict "root" (index . 0) "component" "balancer") | nindent 4 }}
  ports:
    - port: {{ index . 1 }}
{{- end -}}

{{/* What workers may reach: nothing, unless the values ask for it. */}}
{{- define "stt.egress.worker" -}}
{{- $downloads := eq .Values.model.source "download" -}}
{{- $redis := include "stt.worker.usesRedis" . -}}
{{- if $downloads }}
{{ include "stt.egress.hub" . }}
{{- end }}
{{- if $redis }}
{{ include "stt.egress.port" (list .Values.redis.port .Values.redis.networkPolicyTo) }}
{{- end }}
{{- with .Values.worker.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- if or $downloads $redis .Values.worker.extraEgress }}
{{ include "stt.egress.dns" . }}
{{- end }}
{{- end -}}
