{{/* The API keys of workers and gateways: a list in a variable, and a file with limits. */}}

{{- define "stt.keys.env" -}}
{{- with .Values.apiKeys }}
{{- if .existingSecret }}
{{ include "stt.secretVariable" (list "API_KEYS" .existingSecret .key) }}
{{- end }}
{{- if .fileSecret.name }}
- name: API_KEYS_FILE
  value: "/etc/transcription/keys/{{ .fileSecret.key }}"
{{- end }}
{{- end }}
{{- end -}}

{{/* The whole folder, not one file of it: only a folder follows changes of its Secret. */}}
{{- define "stt.keysFile.mount" -}}
{{- if .Values.apiKeys.fileSecret.name -}}
- name: api-keys
  mountPath: /etc/transcription/keys
  readOnly: true
{{- end -}}
{{- end -}}

{{- define "stt.keysFile.volume" -}}
{{- with .Values.apiKeys.fileSecret.name -}}
- name: api-keys
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end -}}
{{- end -}}
