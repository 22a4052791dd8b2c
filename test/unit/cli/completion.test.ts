// Completion in real shells.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it, vi } from 'vitest'
import { SHELLS } from '../../../src/cli/completion.ts'
import { runProgram } from '../../../src/cli/program.ts'
import { readArguments } from '../../../src/launcher/command.ts'

async function scriptOf(shell: string): Promise<string> {
  const stdout = new PassThrough()
  const terminal = { stdin: new PassThrough(), stdout, stderr: new PassThrough(), signal: new AbortController().signal }
  const printed = text(stdout)
  await runProgram(['completion', shell], terminal)
  stdout.end()
  return printed
}

/** What bash offers after these words; the last one is incomplete. */
async function offered(...words: string[]): Promise<string[]> {
  const call = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _inferq`
  const input = `${await scriptOf('bash')}\n${call}\nprintf '%s\\n' "\${COMPREPLY[@]}"\n`
  const { stdout, stderr } = spawnSync('bash', ['--noprofile', '--norc', '-u'], { input, encoding: 'utf8' })
  expect(stderr).toBe('')
  return stdout.split('\n').filter((line) => line !== '')
}

describe('in bash', () => {
  it.each([
    [['inferq', 'b'], ['batch']],
    [['inferq', '--u'], ['--url']],
    [['inferq', 'batch', 'f'], ['follow']],
    [['inferq', 'batch', 'list', '--j'], ['--json']],
    [['inferq', '--url', 'http://host', 'models', 'ch'], ['check']],
    [
      ['inferq', 'predict', '--function', 's'],
      ['softmax', 'sigmoid'],
    ],
    [
      ['inferq', 'completion', ''],
      ['bash', 'zsh', 'fish', '--url', '--key', '--help'],
    ],
    [['inferq', 'predict', 'batch', 'list', '--js'], ['--json']],
    [['inferq', 'batch', 'revie'], []],
  ])('%j is completed', async (words, expected) => {
    expect(await offered(...words)).toEqual(expected)
  })

  it('offers the options of serve, which the launcher reads', async () => {
    let help = ''
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((part) => (help += String(part)) !== '')
    readArguments(['--help'], true, '.')
    write.mockRestore()
    const [, options = ''] = help.split('Options:')
    const names = [...(options.split('\n\n')[0] ?? '').matchAll(/--[a-z]+/g)].map(([name]) => name)
    expect(names.length).toBeGreaterThan(4)
    expect(await offered('inferq', 'serve', '--')).toEqual(expect.arrayContaining(names))
  })
})

describe.each(SHELLS)('the script for %s', (shell) => {
  it.skipIf(spawnSync(shell, ['-c', 'true']).status !== 0)('is valid', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'inferq-completion-'))
    const file = join(dir, 'script')
    writeFileSync(file, await scriptOf(shell))
    const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' })
    rmSync(dir, { recursive: true })
    expect([status, stderr]).toEqual([0, ''])
  })
})
