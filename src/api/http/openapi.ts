// Generates the OpenAPI document from the route table and the schemas that validate requests.
import { STATUS_CODES } from 'node:http'
import { OpenAPIRegistry, OpenApiGeneratorV31, type RouteConfig } from '@asteasolutions/zod-to-openapi'
import * as z from 'zod'
import { VERSION } from '../../package.ts'
import { openAiErrorDocument } from './openai-format.ts'
import { problemDocument } from './problem.ts'
import type { DocumentedResponse, Route } from './route.ts'

export type OpenApiDocument = ReturnType<OpenApiGeneratorV31['generateDocument']>

/** @param hasKeys whether requests need an API key. @param basePath path of the api at its proxy. */
export function openApiDocument(routes: Route<never>[], hasKeys: boolean, basePath = ''): OpenApiDocument {
  const registry = new OpenAPIRegistry()
  registry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  for (const route of routes) {
    const errors: ErrorKind =
      route.errors === 'openai'
        ? ['application/json', openAiErrorDocument]
        : ['application/problem+json', problemDocument]
    registry.registerPath(pathOf(route, errors, hasKeys && !route.public))
  }
  const document = new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'inferq',
      version: VERSION,
      description:
        'A self-hosted queue for text classification: wait for a result, or submit a prediction and poll it.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: basePath || '/' }],
  })
  for (const route of routes) addParameterExamples(document, route)
  return document
}

type ErrorKind = [contentType: string, schema: z.ZodType]

function pathOf(route: Route<never>, errors: ErrorKind, secured: boolean): RouteConfig {
  const problems = [...(route.errorStatuses ?? []), ...(secured ? [401] : [])]
  const headers =
    route.isPredict && route.method !== 'get' ? predictHeaders : route.tag === 'Predictions' ? waitHeader : undefined
  return {
    method: route.method,
    path: openApiPath(route.path),
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    ...(secured ? { security: [{ bearer: [] }] } : {}),
    request: {
      ...(route.params ? { params: route.params as z.ZodObject } : {}),
      ...(route.query ? { query: route.query as z.ZodObject } : {}),
      ...(headers ? { headers } : {}),
      ...(route.body ? { body: bodyOf(route.body, route.example?.body) } : {}),
      ...(route.form ? { body: { required: true, content: { 'multipart/form-data': { schema: route.form } } } } : {}),
    },
    responses: Object.fromEntries([
      ...Object.entries(route.responses).map(([status, documented]) => [status, responseOf(documented)]),
      ...problems.map((status) => [String(status), problemOf(status, errors)]),
    ]),
  }
}

const prefer = z.string().optional().describe('wait[=seconds], respond-async, handling=lenient')
const waitHeader = z.object({ Prefer: prefer })
const predictHeaders = z.object({
  Prefer: prefer,
  'Idempotency-Key': z.string().optional().describe('A repeated request with the same key returns the same prediction'),
})

function bodyOf(schema: z.ZodType, example: unknown) {
  return { required: true, content: { 'application/json': { schema, ...(example === undefined ? {} : { example }) } } }
}

function responseOf({ description, schema, example, contentType }: DocumentedResponse) {
  if (!schema) return { description }
  const media = { schema, ...(example === undefined ? {} : { example }) }
  return { description, content: { [contentType ?? 'application/json']: media } }
}

function problemOf(status: number, [contentType, schema]: ErrorKind) {
  return { description: STATUS_CODES[status] ?? '', content: { [contentType]: { schema } } }
}

function addParameterExamples(document: OpenApiDocument, route: Route<never>): void {
  const examples: Record<string, string> = { ...route.example?.params, ...route.example?.query }
  const operation = document.paths?.[openApiPath(route.path)]?.[route.method]
  for (const parameter of operation?.parameters ?? []) {
    if ('name' in parameter && examples[parameter.name] !== undefined) parameter.example = examples[parameter.name]
  }
}

/** `/models/:model` as `/models/{model}`. */
export function openApiPath(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}')
}

function operationId({ method, path }: Route<never>): string {
  const parts = path.split(/\W+/).filter(Boolean)
  return [method, ...parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1))].join('')
}
