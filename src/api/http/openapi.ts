// Generates the OpenAPI document from the route table and the schemas that validate requests.
import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi'
import { VERSION } from '../../package.ts'
import { openApiPath, operationOf } from './openapi-operation.ts'
import type { Route } from './route.ts'

export type OpenApiDocument = ReturnType<OpenApiGeneratorV31['generateDocument']>

export interface DocumentOptions {
  /** Whether requests need an API key. */
  hasKeys: boolean
  /** Path of the api at its proxy. */
  basePath?: string
  /** Sections, in order, with their descriptions. */
  tags: Record<string, string>
}

export function openApiDocument(
  routes: Route<never>[],
  { hasKeys, basePath = '', tags }: DocumentOptions,
): OpenApiDocument {
  const registry = new OpenAPIRegistry()
  if (hasKeys) registry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  for (const route of routes) registry.registerPath(operationOf(route, hasKeys))
  const document = new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'inferq',
      version: VERSION,
      description:
        'A self-hosted queue for text classification: wait for a result, or submit a prediction and poll it.',
      contact: { name: 'The operator of this server' },
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: basePath || '/' }],
    security: hasKeys ? [{ bearer: [] }] : [],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
  })
  for (const route of routes) addParameterExamples(document, route)
  return writeOneOf(document) as OpenApiDocument
}

/** Writes `anyOf` as `oneOf` in schemas that are marked with `x-exactly-one`. */
function writeOneOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(writeOneOf)
  if (typeof value !== 'object' || value === null) return value
  const { 'x-exactly-one': exactlyOne, anyOf, ...rest } = value as Record<string, unknown>
  const alternatives = anyOf === undefined ? {} : { [exactlyOne ? 'oneOf' : 'anyOf']: writeOneOf(anyOf) }
  return {
    ...Object.fromEntries(Object.entries(rest).map(([name, inner]) => [name, writeOneOf(inner)])),
    ...alternatives,
  }
}

function addParameterExamples(document: OpenApiDocument, route: Route<never>): void {
  const examples: Record<string, string> = { ...route.example?.params, ...route.example?.query }
  const operation = document.paths?.[openApiPath(route.path)]?.[route.method]
  for (const parameter of operation?.parameters ?? []) {
    if ('name' in parameter && examples[parameter.name] !== undefined) parameter.example = examples[parameter.name]
  }
}
