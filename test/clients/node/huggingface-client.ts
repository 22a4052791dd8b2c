// @huggingface/inference.
import assert from 'node:assert/strict'
import { InferenceClient } from '@huggingface/inference'
import { type Check, type Target, TEXT } from './checks.ts'

export async function checkHuggingFace({ url, key, model }: Target, check: Check): Promise<void> {
  const at = (path: string, token = key) => new InferenceClient(token, { endpointUrl: url + path })

  await check('textClassification: at /, /models/NAME, /models/OWNER/NAME', async () => {
    const expected = await at(`/models/${model}`).textClassification({ inputs: TEXT })
    assert.ok(expected.length > 1)
    assert.deepEqual(await at(`/models/any/${model}`).textClassification({ inputs: TEXT }), expected)
    assert.deepEqual(await at('').textClassification({ inputs: TEXT }), expected)
  })
  await check('textClassification: top_k, function_to_apply', async () => {
    const ask = (parameters: { top_k?: number; function_to_apply?: 'none' }) =>
      at(`/models/${model}`).textClassification({ inputs: TEXT, parameters })
    assert.equal((await ask({ top_k: 1 })).length, 1)
    assert.notEqual((await ask({ function_to_apply: 'none' }))[0]?.score, (await ask({}))[0]?.score)
  })
  await check('errors: 401, 404, 422', async () => {
    await assert.rejects(at(`/models/${model}`, 'wrong').textClassification({ inputs: TEXT }), /API key/)
    await assert.rejects(at('/models/none').textClassification({ inputs: TEXT }))
    await assert.rejects(at(`/models/${model}`).textClassification({ inputs: '' }))
  })
}
