// The recommended rules of Redocly and Spectral.
import { BaseResolver, createConfig, lintDocument, makeDocumentFromString } from '@redocly/openapi-core'
import spectralCore from '@stoplight/spectral-core'
import { oas } from '@stoplight/spectral-rulesets'
import { describe, expect, it } from 'vitest'
import { openApiDocument } from '../../../../src/api/http/openapi.ts'
import { createRoutes, TAGS } from '../../../../src/api/routes/table.ts'

const routes = createRoutes({ maxInputs: 1_000, maxTextChars: 100_000 })
const textOf = (hasKeys: boolean) => JSON.stringify(openApiDocument(routes, { hasKeys, tags: TAGS }))

async function redocly(text: string): Promise<string[]> {
  const config = await createConfig({ extends: ['recommended'], rules: {} })
  const document = makeDocumentFromString(text, '/openapi.json')
  const problems = await lintDocument({ document, externalRefResolver: new BaseResolver(), config })
  return problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`)
}

async function spectral(text: string): Promise<string[]> {
  const linter = new spectralCore.Spectral()
  linter.setRuleset({ extends: [[oas as never, 'recommended']] })
  const problems = await linter.run(text)
  return problems.map(({ code, message, path }) => `${code}: ${message} ${path.join('.')}`)
}

describe.each([
  ['without API keys', textOf(false)],
  ['with API keys', textOf(true)],
])('the OpenAPI document %s', (_what, text) => {
  it("satisfies Redocly's recommended rules", async () => {
    expect(await redocly(text)).toEqual([])
  })

  it("satisfies Spectral's recommended rules", async () => {
    expect(await spectral(text)).toEqual([])
  })
})

it('is really checked', async () => {
  const broken = textOf(true).replace('"operationId":"getPrediction",', '').replaceAll('"bearer"', '"other"')
  expect((await redocly(broken)).join()).toMatch(/operation-operationId|security-defined/)
  expect((await spectral(broken.replace('"tags":["Predict"]', '"tags":["Unknown"]'))).join()).toMatch(
    /operation-tag-defined/,
  )
})
