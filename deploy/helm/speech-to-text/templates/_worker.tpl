{{/* What the worker's Deployment is made of. */}}

{{/* Variables that the chart sets itself. */}}
{{- define "stt.worker.env" -}}
- name: HOST
  value: 0.0.0.0
- name: PORT
  value: "8000"
- name: DEVICE
  value: {{ .Values.device }}
- name: WORKER_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- include "stt.keys.env" . }}
{{- if include "stt.worker.usesRedis" . }}
# Where the workers count what each key has used.
{{ include "stt.secretVariable" (list "REDIS_URL" .Values.redis.existingSecret .Values.redis.key) }}
{{- end }}
{{- end -}}

{{/* Not empty if the workers share their counts by key. */}}
{{- define "stt.worker.usesRedis" -}}
{{- if and .Values.apiKeys.fileSecret.name .Values.redis.existingSecret }}yes{{ end -}}
{{- end -}}

{{/* Resources: those given, or the device's, and the GPU. */}}
{{- define "stt.worker.resources" -}}
{{- $cpu := dict "requests" (dict "cpu" "2" "memory" "6Gi") "limits" (dict "cpu" "2" "memory" "6Gi") -}}
{{- $cuda := dict "requests" (dict "cpu" "2" "memory" "8Gi") "limits" (dict "memory" "8Gi") -}}
{{- if eq .Values.device "cuda" -}}
{{- $resources := deepCopy (.Values.worker.resources | default $cuda) -}}
{{- $gpu := dict "limits" (dict .Values.worker.gpu.resource .Values.worker.gpu.count) -}}
{{- merge $gpu $resources | toYaml -}}
{{- else -}}
{{- .Values.worker.resources | default $cpu | toYaml -}}
{{- end -}}
{{- end -}}

{{/* Room for the largest upload in each slot, and 512 MiB for everything else. */}}
{{- define "stt.worker.tmpSize" -}}
{{- $uploads := mulf (include "stt.slots" .) (include "stt.setting" (list .Values.settings "MAX_UPLOAD_BYTES" 524288000)) -}}
{{- add (divf $uploads 1048576 | ceil | int) 512 }}Mi
{{- end -}}

{{/*
The number of pods. With KEDA it is what runs now: without the line, Helm would set a running Deployment to 1, and with
a number of the values, each upgrade would undo KEDA's. Takes ctx with "values".
*/}}
{{- define "stt.replicas" -}}
{{- if .values.autoscaling.enabled -}}
{{- $running := lookup "apps/v1" "Deployment" .root.Release.Namespace (include "stt.componentName" .) -}}
{{- with $running.spec }}replicas: {{ .replicas }}{{ end -}}
{{- else -}}
replicas: {{ .values.replicas }}
{{- end -}}
{{- end -}}
