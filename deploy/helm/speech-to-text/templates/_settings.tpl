{{/* The settings of each component, as the data of its ConfigMap. */}}

{{- define "stt.settings.worker" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ include "stt.text" $value | quote }}
{{- end }}
{{- if not .Values.settings }}{}{{ end }}
{{- end -}}

{{- define "stt.settings.gateway" -}}
{{- range $name, $value := .Values.gateway.settings }}
{{ $name }}: {{ include "stt.text" $value | quote }}
{{- end }}
{{- if not .Values.gateway.settings }}{}{{ end }}
{{- end -}}

{{/* The collector reads the streams that the gateways write, unless its own settings name others. */}}
{{- define "stt.settings.collector" -}}
{{- $streams := dict "REDIS_STREAM_NAME" "REDIS_STREAM_KEY" "REDIS_SPEAKER_EVENTS_STREAM_NAME" "REDIS_SPEAKER_EVENTS_RELATIVE_STREAM_KEY" -}}
{{- $settings := deepCopy .Values.collector.settings -}}
{{- range $own, $gateways := $streams -}}
{{- with get $.Values.gateway.settings $gateways -}}
{{- $settings = merge $settings (dict $own .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $settings }}
{{ $name }}: {{ include "stt.text" $value | quote }}
{{- end }}
{{- if not $settings }}{}{{ end }}
{{- end -}}
