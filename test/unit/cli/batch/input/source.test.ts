// Whether an input is the one that was read before.
import { createHash } from 'node:crypto'
import { appendFileSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { layoutOf } from '../../../../../src/cli/batch/input/input-rows.ts'
import { checkUnchanged, openFile } from '../../../../../src/cli/batch/input/source.ts'
import { planOf } from '../../../../../src/cli/batch/plan.ts'

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-source-'))
  path = join(dir, 'in')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

it.each([
  ['lines', 'one\n\ntwo é'],
  ['csv', '\ufeffid,text\r\n1,"a\nb"\r\n\r\n'],
  ['jsonl', '{"text":"a"}\n\n'],
] as const)('a plan has the digest of all bytes: %s', async (format, content) => {
  writeFileSync(path, content)
  const source = await openFile(path)
  const layout = await layoutOf(source, { format, delimiter: ',', options: {} })
  const limits = { lines: 10, bytes: 1_000, line: 1_000 }
  const { digest } = await planOf(source, layout, limits, new AbortController().signal)
  expect([digest, await source.digest()]).toEqual([sha256(content), sha256(content)])
})

it('takes a touched file for the same, and an edited one for another', async () => {
  writeFileSync(path, 'one\n')
  const source = await openFile(path)
  utimesSync(path, 1, 1)
  await checkUnchanged(source, sha256('one\n'))
  appendFileSync(path, 'two\n')
  await expect(checkUnchanged(source, sha256('one\n'))).rejects.toThrow('has been changed during the run')
})
