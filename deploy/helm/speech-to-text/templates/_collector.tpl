{{/* What the collector's Deployment is made of. */}}

{{- define "stt.collector.claim" -}}
{{- .Values.collector.storage.existingClaim | default (printf "%s-transcripts" (include "stt.name" .)) -}}
{{- end -}}

{{/* Variables that the chart sets itself. */}}
{{- define "stt.collector.env" -}}
{{ include "stt.secretVariable" (list "REDIS_URL" .Values.redis.existingSecret .Values.redis.key) }}
{{- with .Values.collector.database }}
{{- if .existingSecret }}
{{ include "stt.secretVariable" (list "DATABASE_URL" .existingSecret .key) }}
{{- else }}
- name: DATABASE_URL
  value: sqlite:////data/collector.db
{{- end }}
{{- end }}
{{- with .Values.collector.apiKeys }}
{{- if .existingSecret }}
{{ include "stt.secretVariable" (list "COLLECTOR_API_KEYS" .existingSecret .key) }}
{{- end }}
{{- end }}
{{- end -}}
