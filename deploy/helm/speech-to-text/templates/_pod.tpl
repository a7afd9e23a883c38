{{/* Parts that every pod has. */}}

{{/* Metadata of a pod. Takes (dict "root" $ "component" .. "values" .. "checksums" {name: text}). */}}
{{- define "stt.podMetadata" -}}
labels:
  {{- merge (include "stt.selector" . | fromYaml) .values.podLabels | toYaml | nindent 2 }}
{{- $annotations := dict -}}
{{- range $name, $text := .checksums -}}
{{- $_ := set $annotations (printf "checksum/%s" $name) (sha256sum $text) -}}
{{- end -}}
{{- with merge $annotations .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Identity and security of a pod. Takes (dict "root" $ "uid" 10001). */}}
{{- define "stt.podIdentity" -}}
serviceAccountName: {{ include "stt.serviceAccount" .root | quote }}
automountServiceAccountToken: false
# A Service's variables would stand beside HOST and PORT.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .uid }}
  runAsGroup: {{ .uid }}
  fsGroup: {{ .uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Where pods run. Takes ctx with "values", and "nodeSelector" and "tolerations" to add. */}}
{{- define "stt.placement" -}}
topologySpreadConstraints:
  {{- $ctx := . }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "stt.selector" $ctx | nindent 8 }}
    matchLabelKeys:
      - pod-template-hash
  {{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with merge (dict) .values.nodeSelector (.nodeSelector | default dict) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .values.tolerations (.tolerations | default list) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Security of a container. */}}
{{- define "stt.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end -}}

{{/* One environment variable from a Secret. Takes (list variable secret key). */}}
{{- define "stt.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 | quote }}
      key: {{ index . 2 | quote }}
{{- end -}}

{{/* The chart's variables and extraEnv as one list. Takes (list text extraEnv where). A name may come only once. */}}
{{- define "stt.env" -}}
{{- $shared := list "SHUTDOWN_GRACE_S" "DRAIN_GRACE_S" "MAX_CONCURRENT_TRANSCRIPTIONS" "MAX_CLIENTS" "MAX_QUEUE_SIZE" "MAX_UPLOAD_BYTES" "FAIL_FAST_WHEN_BUSY" -}}
{{- $seen := dict -}}
{{- $all := concat (index . 0 | fromYamlArray) (index . 1) -}}
{{- range $all -}}
{{- if has .name $shared -}}
{{- fail (printf "%s sets %s: write it under settings, because nginx and the grace periods need the same value" (index $ 2) .name) -}}
{{- end -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "%s sets %s, which the chart sets itself or which stands there twice: remove it" (index $ 2) .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}
