// Calls as code: each language's own tool reads what the page shows.
import { execFileSync } from 'node:child_process'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { codeOfBatch, codeOfCall } from '../../../web/code.js'

const text = `It's "quoted", \\ and \u{1f600}\nwith $HOME \`id\``
const body = { inputs: text, flags: [true, null, 1.5] }
const url = 'http://localhost:8000/predict'

describe('a call', () => {
  it('is one command of a shell with the body as it is', () => {
    const { curl } = codeOfCall(url, { body, withKey: true })
    const printed = execFileSync('sh', ['-c', `curl() { printf '%s\\n' "$@"; }; INFERQ_KEY=secret; ${curl}`], {
      encoding: 'utf8',
    })
    expect(printed).toContain('Authorization: Bearer secret\n')
    expect(printed).toContain(`-d\n${JSON.stringify(body)}\n`)
  })

  it('is JavaScript with the body as it is', async () => {
    const { javascript } = codeOfCall(url, { body, withKey: false })
    const sent: unknown[] = []
    const fetch = async (...args: unknown[]) => {
      sent.push(args)
      return { json: async () => 'answer' }
    }
    const log = (answer: unknown) => expect(answer).toBe('answer')
    await runInNewContext(`(async () => { ${javascript} })()`, { fetch, console: { log } })
    const headers = { 'Content-Type': 'application/json' }
    expect(sent).toEqual([[url, { method: 'POST', headers, body: JSON.stringify(body) }]])
  })

  it('is Python with the body as it is', () => {
    const { python } = codeOfCall(url, { body, withKey: true })
    expect(python).toContain('json={"inputs": ')
    expect(python).toContain('"flags": [True, None, 1.5]')
    expect(python).toContain("os.environ['INFERQ_KEY']")
  })

  it('is a GET without a body', () => {
    const { curl, javascript, python } = codeOfCall(url, { withKey: false })
    expect([curl, javascript]).toEqual([`curl '${url}'`, expect.stringContaining(`fetch("${url}")`)])
    expect(python).toContain('requests.get(')
  })
})

it('a batch names the file and the model, and the key only by its variable', () => {
  const { curl, javascript, python } = codeOfBatch('http://a', { file: "it's.jsonl", model: 'cola', withKey: true })
  expect(curl).toContain(`'file=@it'\\''s.jsonl'`)
  for (const code of [curl, javascript, python]) {
    expect(code).toContain('/models/cola')
    expect(code).toContain('INFERQ_KEY')
  }
})
