import { Validator } from '@seriousme/openapi-schema-validator'
import { describe, expect, it } from 'vitest'
import { parseJson } from '../../../../src/api/http/json-body.ts'
import { openApiDocument, openApiPath } from '../../../../src/api/http/openapi.ts'
import { createRoutes } from '../../../../src/api/routes/table.ts'
import { checkedBody } from '../../../../src/validation/check.ts'

const routes = createRoutes({ maxInputs: 1_000, maxTextChars: 100_000 })
const document = openApiDocument(routes, true)
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

  it('requires an API key for every route that is not public', () => {
    for (const route of routes) {
      const operation = document.paths?.[openApiPath(route.path)]?.[route.method]
      expect([route.path, operation?.security !== undefined]).toEqual([route.path, route.public !== true])
    }
  })
})

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
