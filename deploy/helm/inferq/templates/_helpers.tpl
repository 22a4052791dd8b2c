{{- define "inferq.name" -}}
{{- if contains "inferq" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-inferq{{ end -}}
{{- end }}

{{- define "inferq.labels" -}}
app.kubernetes.io/name: inferq
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* The labels that select the pods of a component: a list of the context and its name. */ -}}
{{- define "inferq.selector" -}}
app.kubernetes.io/name: inferq
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "inferq.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "inferq.redisSecret" -}}
{{ if .Values.redis.enabled }}{{ include "inferq.name" . }}-redis{{ else }}{{ required "redis.existingSecret has the URL of an external Redis" .Values.redis.existingSecret }}{{ end }}
{{- end }}

{{- /* Environment of api and workers. */ -}}
{{- define "inferq.env" -}}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "inferq.redisSecret" . }}
      key: {{ if .Values.redis.enabled }}REDIS_URL{{ else }}{{ .Values.redis.existingSecretKey }}{{ end }}
- name: SHUTDOWN_GRACE
  value: 30s
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "inferq.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "inferq.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* The name under which a folder or owner/name@revision is served. */ -}}
{{- define "inferq.servedName" -}}
{{ regexReplaceAll "@.*$" . "" | splitList "/" | last | lower }}
{{- end }}

{{- define "inferq.defaultModel" -}}
{{ index (index .Values.workers 0).models 0 }}
{{- end }}
