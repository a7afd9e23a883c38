{{/* Autoscaling: the queries, and how fast it goes. */}}

{{/* Which series are this release's; PodMonitors set both labels. */}}
{{- define "stt.query.labels" -}}
{namespace={{ .Release.Namespace | quote }},cluster={{ include "stt.cluster" . | quote }}}
{{- end -}}

{{- define "stt.query.workers" -}}
{{- $of := include "stt.query.labels" . -}}
{{- $refused := replace "}" `,route="audio",refused="yes"}` $of -}}
{{/* Probes and scrapes end with "ok", too, and hold no slot. */}}
{{- $ok := replace "}" `,endpoint=~"transcriptions|translations",outcome="ok"}` $of -}}
sum(rate(whisper_slot_seconds_total{{ $of }}[1m]))
+ (sum(rate(lb_requests_total{{ $refused }}[1m])) or vector(0))
* (sum(rate(whisper_slot_seconds_total{{ $of }}[10m])) / clamp_min(sum(rate(whisper_requests_total{{ $ok }}[10m])), 0.001))
{{- end -}}

{{/* Up at once and by as much as there is; down one pod a minute after five minutes. Takes ctx with "values". */}}
{{- define "stt.scaling" -}}
scaleTargetRef:
  name: {{ include "stt.componentName" . }}
minReplicaCount: {{ .values.autoscaling.minReplicas }}
maxReplicaCount: {{ .values.autoscaling.maxReplicas }}
pollingInterval: 15
# Without Prometheus: what runs, and no less than the smallest number.
fallback:
  failureThreshold: 3
  replicas: {{ .values.autoscaling.minReplicas }}
  behavior: currentReplicasIfHigher
advanced:
  horizontalPodAutoscalerConfig:
    behavior:
      scaleUp:
        stabilizationWindowSeconds: 0
        policies:
          - type: Percent
            value: 100
            periodSeconds: 15
      scaleDown:
        stabilizationWindowSeconds: 300
        policies:
          - type: Pods
            value: 1
            periodSeconds: 60
{{- end -}}
