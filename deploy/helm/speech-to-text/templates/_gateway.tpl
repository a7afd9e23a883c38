{{/* Variables of a gateway that the chart sets itself. */}}
{{- define "stt.gateway.env" -}}
- name: REMOTE_TRANSCRIBER_URL
  value: http://{{ include "stt.name" . }}:8083/v1/audio/transcriptions
{{- if not (hasKey .Values.gateway.settings "FORWARDED_ALLOW_IPS") }}
# Only nginx reaches the gateways: the client's address that it passes on is the true one.
- name: FORWARDED_ALLOW_IPS
  value: "*"
{{- end }}
{{- include "stt.keys.env" . }}
{{- with .Values.gateway.clientKeys }}
{{- if .existingSecret }}
{{ include "stt.secretVariable" (list "STREAMING_API_KEYS" .existingSecret .key) }}
{{- end }}
{{- end }}
{{- with .Values.gateway.transcriberKey }}
{{- if .existingSecret }}
{{ include "stt.secretVariable" (list "REMOTE_TRANSCRIBER_API_KEY" .existingSecret .key) }}
{{- end }}
{{- end }}
{{- with .Values.redis }}
{{- if .existingSecret }}
{{ include "stt.secretVariable" (list "REDIS_URL" .existingSecret .key) }}
{{- end }}
{{- end }}
{{- end -}}
