import { expect, it } from 'vitest'
import { Inferq } from '../../../src/client/client.ts'
import { bodyOf, json, startAnswers } from '../../helpers/answers.ts'

/** Keeps bodies by path, and answers as the api does; the first part answers last. */
async function startUploads(refuse?: string) {
  const bodies: Record<string, string[]> = {}
  const server = await startAnswers((request, response) => {
    const path = request.url ?? ''
    void bodyOf(request).then((body) => {
      bodies[path] = [...(bodies[path] ?? []), body]
      const part = /\r\n\r\n(\w+)\r\n/.exec(body)?.[1]
      if (path === refuse) return json(400, { detail: 'refused' })(request, response)
      if (path.endsWith('/parts')) {
        const answer = () => json(200, { id: `part_${part}` })(request, response)
        return void setTimeout(answer, part === 'ab' ? 50 : 0)
      }
      const file = path.endsWith('/complete') ? { id: 'file-1', bytes: 5 } : null
      json(200, { id: 'upload_1', file })(request, response)
    })
  })
  return { ...server, bodies }
}

it('an upload sends its parts, and completes them in the order of the file', async () => {
  const { url, bodies, stop } = await startUploads()
  const progress: number[] = []
  const file = await new Inferq({ url }).uploads.create({
    filename: 'a.jsonl',
    content: new Blob(['abcde']),
    partBytes: 2,
    onProgress: (bytes) => progress.push(bytes),
  })
  stop()
  expect(file).toMatchObject({ id: 'file-1', bytes: 5 })
  expect(JSON.parse(bodies['/v1/uploads']?.[0] ?? '')).toMatchObject({
    filename: 'a.jsonl',
    bytes: 5,
    purpose: 'batch',
  })
  expect(JSON.parse(bodies['/v1/uploads/upload_1/complete']?.[0] ?? '')).toEqual({
    part_ids: ['part_ab', 'part_cd', 'part_e'],
  })
  expect(progress.at(-1)).toBe(5)
})

it('an upload with a refused part is cancelled', async () => {
  const { url, bodies, stop } = await startUploads('/v1/uploads/upload_1/parts')
  const content = new Blob(['abcde'])
  await expect(new Inferq({ url }).uploads.create({ filename: 'a', content, partBytes: 1 })).rejects.toThrow('refused')
  stop()
  expect(Object.keys(bodies)).toContain('/v1/uploads/upload_1/cancel')
  expect(Object.keys(bodies)).not.toContain('/v1/uploads/upload_1/complete')
})
