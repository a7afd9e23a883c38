{{/* How the model reaches the workers: model.source. */}}

{{/* Changes with everything that a download depends on: a part of the name of the file that the Job leaves. */}}
{{- define "stt.model.key" -}}
{{- $given := pick .Values.settings "MODEL_SIZE" "COMPUTE_TYPE" "ENCODER" -}}
{{- list (include "stt.image" .) .Values.device $given .Values.model.extraEnv | toJson | sha256sum | trunc 8 -}}
{{- end -}}

{{/* Not empty if a Job fills the claim. */}}
{{- define "stt.model.hasJob" -}}
{{- if and (eq .Values.model.source "pvc") .Values.model.pvc.fill }}yes{{ end -}}
{{- end -}}

{{/* A Job cannot be changed, so its name changes with its pod. */}}
{{- define "stt.model.jobName" -}}
{{- printf "%s-model-%s" (include "stt.name" .) (include "stt.model.jobPod" . | sha256sum | trunc 8) -}}
{{- end -}}

{{/* The Job's pod. */}}
{{- define "stt.model.jobPod" -}}
restartPolicy: OnFailure
{{- include "stt.podIdentity" (dict "root" . "uid" 10001) | nindent 0 }}
{{- with .Values.worker.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.worker.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  {{- $fetch := printf "python -m app models fetch --for-device %s && touch /models/.complete-%s" .Values.device (include "stt.model.key" .) }}
  {{- include "stt.model.fetchContainer" (dict "root" . "name" "fetch-model" "command" (list "sh" "-c" $fetch)) | nindent 2 }}
volumes:
  - name: models
    persistentVolumeClaim:
      claimName: {{ include "stt.model.claim" . | quote }}
  - name: tmp
    emptyDir:
      sizeLimit: 1Gi
{{- end -}}

{{- define "stt.model.claim" -}}
{{- .Values.model.pvc.existingClaim | default (printf "%s-models" (include "stt.name" .)) -}}
{{- end -}}

{{/* The container that downloads and verifies. Takes (dict "root" $ "name" .. "command" [...]). */}}
{{- define "stt.model.fetchContainer" -}}
{{- $root := .root -}}
- name: {{ .name }}
  image: {{ include "stt.image" $root }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command:
    {{- toYaml .command | nindent 4 }}
  securityContext:
    {{- include "stt.containerSecurity" $root | nindent 4 }}
  envFrom:
    - configMapRef:
        name: {{ include "stt.componentName" (dict "root" $root "component" "worker") }}
  env:
    {{- include "stt.env" (list (include "stt.model.env" $root) $root.Values.model.extraEnv "model.extraEnv") | nindent 4 }}
  resources:
    {{- toYaml $root.Values.model.resources | nindent 4 }}
  volumeMounts:
    - name: models
      mountPath: /models
    - name: tmp
      mountPath: /tmp
{{- end -}}

{{- define "stt.model.env" -}}
- name: HF_HUB_OFFLINE
  value: "0"
- name: HOME
  value: /tmp
{{- with .Values.model.hfToken.existingSecret }}
{{ include "stt.secretVariable" (list "HF_TOKEN" . $.Values.model.hfToken.key) }}
{{- end }}
{{- end -}}

{{- define "stt.model.initContainers" -}}
{{- if eq .Values.model.source "download" -}}
initContainers:
  {{- $command := list "python" "-m" "app" "models" "fetch" "--for-device" .Values.device }}
  {{- include "stt.model.fetchContainer" (dict "root" . "name" "fetch-model" "command" $command) | nindent 2 }}
{{- else if include "stt.model.hasJob" . -}}
initContainers:
  # The Job writes this file when the model is complete and verified.
  - name: wait-for-model
    image: {{ include "stt.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command:
      - sh
      - -c
      - >-
        trap exit TERM;
        until [ -e /models/.complete-{{ include "stt.model.key" . }} ]; do echo "waiting for the model"; sleep 5; done
    securityContext:
      {{- include "stt.containerSecurity" . | nindent 6 }}
    resources:
      requests:
        cpu: 10m
        memory: 16Mi
      limits:
        memory: 64Mi
    volumeMounts:
      - name: models
        mountPath: /models
        readOnly: true
{{- end -}}
{{- end -}}

{{- define "stt.model.volume" -}}
{{- $model := .Values.model -}}
{{- if eq $model.source "download" -}}
- name: models
  emptyDir:
    sizeLimit: {{ include "stt.text" $model.download.sizeLimit | quote }}
{{- else if eq $model.source "pvc" -}}
- name: models
  persistentVolumeClaim:
    claimName: {{ include "stt.model.claim" . | quote }}
    {{- if not $model.pvc.fill }}
    readOnly: true
    {{- end }}
{{- else if eq $model.source "volume" -}}
- name: models
  image:
    reference: {{ $model.imageVolume.reference | quote }}
    pullPolicy: {{ $model.imageVolume.pullPolicy }}
{{- end -}}
{{- end -}}
