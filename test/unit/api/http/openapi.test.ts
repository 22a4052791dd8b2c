import { Validator } from '@seriousme/openapi-schema-validator'
import { describe, expect, it } from 'vitest'
import type * as z from 'zod'
import { parseJson } from '../../../../src/api/http/json-body.ts'
import { requiredRole } from '../../../../src/api/http/keys/roles.ts'
import { openApiDocument } from '../../../../src/api/http/openapi.ts'
import { openApiPath } from '../../../../src/api/http/openapi-operation.ts'
import { createSchemas } from '../../../../src/api/routes/schema.ts'
import { createRoutes, TAGS } from '../../../../src/api/routes/table.ts'
import { checkedBody } from '../../../../src/validation/check.ts'

const routes = createRoutes({ maxInputs: 1_000, maxTextChars: 100_000 })
const document = openApiDocument(routes, { hasKeys: true, tags: TAGS })
const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
  Object.keys(item).map((method) => `${method} ${path}`),
)

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)))
    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
  })

  it('has exactly the routes of the route table', () => {
    const served = routes.map(({ method, path }) => `${method} ${openApiPath(path)}`)
    expect(operations.sort()).toEqual([...new Set(served)].sort())
    expect(served.length).toBe(new Set(served).size)
  })

  it('has a unique operationId for every operation', () => {
    const ids = Object.values(document.paths ?? {}).flatMap((item) =>
      Object.values(item).map((operation) => (operation as { operationId: string }).operationId),
    )
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('documents 422 for every query and body, or 400 in the format of OpenAI', () => {
    const undocumented = routes.filter(({ path, method, query, body, errors }) => {
      const status = errors === 'openai' ? '400' : '422'
      const responses = document.paths?.[openApiPath(path)]?.[method]?.responses ?? {}
      return (query !== undefined || body !== undefined) && !(status in responses)
    })
    expect(undocumented.map(({ method, path }) => `${method} ${path}`)).toEqual([])
  })

  it('requires an API key for every route that is not public', () => {
    for (const route of routes) {
      const operation = document.paths?.[openApiPath(route.path)]?.[route.method]
      expect(operation?.['x-required-role' as never]).toBe(route.public ? undefined : requiredRole(route))
      const security = operation?.security ?? document.security
      expect([route.path, security]).toEqual([route.path, route.public ? [] : [{ bearer: [] }]])
    }
  })
})

describe('the schemas', () => {
  const components = Object.keys(document.components?.schemas ?? {})
  const text = JSON.stringify(document)

  it.each(['Prediction', 'Batch', 'File', 'Model', 'Scores', 'Problem', 'OpenAIError', 'Info'])(
    'have %s as a component',
    (name) => {
      expect(components).toContain(name)
      expect(text).toContain(`"#/components/schemas/${name}"`)
    },
  )

  it('have forms that generators of clients understand', () => {
    expect(text).not.toMatch(/prefixItems|"type":\["/)
    expect(text).toMatch(/"format":"date-time".*"format":"uri"|"format":"uri".*"format":"date-time"/)
  })

  it('require exactly one of two fields, as the validation does', () => {
    const schemas = createSchemas({ maxInputs: 1_000, maxTextChars: 100_000 })
    const window = { endpoint: '/predict', completion_window: '24h' }
    const requests = [{ custom_id: 'a', body: {} }]
    const bodies: [z.ZodType, z.ZodType, unknown][] = [
      ...[
        {},
        { inputs: 'a' },
        { text: 'a' },
        { inputs: 'a', text: 'a' },
        { text: '' },
        { inputs: ['a', ['a', 'b']] },
        { text: 'a', x: 1 },
      ].flatMap((body): [z.ZodType, z.ZodType, unknown][] => [
        [schemas.predict, schemas.documented.predict, body],
        [schemas.invocations, schemas.documented.invocations, body],
        [schemas.predictionInput, schemas.documented.predictionInput, body],
        [schemas.prediction, schemas.documented.prediction, { input: body }],
      ]),
      [schemas.batch, schemas.documented.batch, { ...window, requests }],
      [schemas.batch, schemas.documented.batch, { ...window, input_file_id: 'file-1' }],
      [schemas.batch, schemas.documented.batch, { ...window, input_url: 'https://example.com/a' }],
    ]
    for (const [served, documented, body] of bodies) {
      expect([body, documented.safeParse(body).success]).toEqual([body, served.safeParse(body).success])
    }
    for (const name of ['PredictBody', 'InvocationsBody', 'PredictionInput']) {
      expect(document.components?.schemas?.[name]).toMatchObject({ oneOf: [{}, {}] })
    }
    expect(document.components?.schemas?.['BatchBody']).toMatchObject({ oneOf: [{}, {}, {}] })
  })

  it('describe the headers of every response', () => {
    for (const item of Object.values(document.paths ?? {})) {
      for (const { operationId, responses } of Object.values(item) as Operation[]) {
        for (const [status, { headers }] of Object.entries(responses)) {
          const expected = ['X-Request-Id', ...(status === '429' || status === '503' ? ['Retry-After'] : [])]
          expect([operationId, status, Object.keys(headers ?? {})]).toEqual([
            operationId,
            status,
            expect.arrayContaining(expected),
          ])
        }
      }
    }
    expect(text).toContain('"Location"')
  })
})

interface Operation {
  operationId: string
  responses: Record<string, { headers?: Record<string, unknown> }>
}

const withBody = routes.flatMap((route) =>
  route.body && route.bodyLimits
    ? [{ name: `${route.method} ${route.path}`, route, body: route.body, limits: route.bodyLimits }]
    : [],
)

describe('every route', () => {
  it.each(withBody)('$name has a valid example body', ({ route, body, limits }) => {
    const example = Buffer.from(JSON.stringify(route.example?.body))
    expect(() => checkedBody(body, parseJson(example, limits))).not.toThrow()
  })

  it.each(routes)('$method $path has an example of each path parameter', (route) => {
    const named = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name)
    expect(Object.keys(route.example?.params ?? {})).toEqual(named)
  })
})
