// Every command of the README and of docs/ runs as written, in the order of the pages, against one stack. Only the port
// is another one. Blocks that cannot run have their reason in the page, as a comment.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../../src/launcher/ports.ts'
import { type CodeBlock, codeBlocksOf } from '../helpers/code-blocks.ts'
import { type StartedProcess, startProcess } from '../helpers/start-process.ts'

/** Blocks that show data, not a program. */
const DATA = ['json', 'yaml', 'text', 'diff', 'http']
/** Python's packages of the examples; the folder is ignored by git. */
const ENVIRONMENT = resolve('.venv/examples')

const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...markdownIn('docs')].flatMap((page) => {
  const blocks = codeBlocksOf(page, readFileSync(page, 'utf8')).filter(({ language }) => !DATA.includes(language))
  return blocks.length > 0 ? [{ page, blocks }] : []
})

/** Files that a user has, for the examples of a page. */
const inputs: Record<string, Record<string, string | Buffer>> = {
  'docs/cli.md': {
    'reviews.csv': 'id,sentence\n1,She saw him.\n2,"Her, saw he."\n',
    'texts.jsonl': '{"text":"She saw him.","id":1}\n{"text":"","id":2}\n',
    'c.txt.gz': gzipSync('She saw him.\n'),
  },
}

let dir: string
let port: number
let stack: StartedProcess

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-docs-'))
  port = await freePort()
  stack = await startProcess(resolve('dist/launcher/main.js'), {
    env: {
      REDIS_URL: undefined,
      ADMIN_PASSWORD: undefined,
      API_KEYS: undefined,
      DATA_DIR: join(dir, 'data'),
      PORT: String(port),
      MONITOR_PORT: '0',
      INFERENCE_PROCESSES: '1',
    },
    readyLine: (line) => line.startsWith('inferq is ready'),
    within: 110_000,
  })
})

afterAll(async () => {
  await stack.stop()
  rmSync(dir, { recursive: true, force: true })
})

describe.each(pages)('$page', ({ page, blocks }) => {
  beforeAll(() => prepare(page))

  test.each(blocks)('$place ($language)', { timeout: 300_000 }, (block) => {
    if (block.notRun === undefined) run(page, block)
    else expect(block.notRun.length).toBeGreaterThan(10)
  })
})

const folderOf = (page: string) => join(dir, page.replace(/\W/g, '-'))

/** A working folder, in which `inferq` is a command as after `npm link`. */
function prepare(page: string): void {
  const bin = join(dir, 'bin')
  const folder = folderOf(page)
  mkdirSync(folder)
  for (const name of ['models', 'src', 'dist', 'node_modules', 'package.json', 'bench'])
    symlinkSync(resolve(name), join(folder, name))
  for (const [name, content] of Object.entries(inputs[page] ?? {})) writeFileSync(join(folder, name), content)
  if (existsSync(bin)) return
  mkdirSync(bin)
  writeFileSync(join(bin, 'inferq'), `#!/bin/sh\nexec "${process.execPath}" "${resolve('dist/cli/main.js')}" "$@"\n`, {
    mode: 0o755,
  })
  // A refusal of the server fails the block, except of a cancel that comes too late.
  const curl = `#!/bin/sh
case "$*" in */cancel) exec "$REAL_CURL" -sS "$@";; esac
exec "$REAL_CURL" --fail-with-body -sS "$@"
`
  writeFileSync(join(bin, 'curl'), curl, { mode: 0o755 })
}

function run(page: string, block: CodeBlock): void {
  const { language } = block
  const code = block.code.replaceAll('localhost:8000', `localhost:${port}`)
  if (language === 'sh') execute(page, 'bash', ['-euo', 'pipefail', '-c', code])
  else if (language === 'console') runConsole(page, code)
  else if (language === 'js') execute(page, process.execPath, ['--input-type=module', '-e', code])
  else if (language === 'ts') {
    writeFileSync(join(folderOf(page), 'example.ts'), code)
    execute(page, process.execPath, ['--import', 'tsx', 'example.ts'])
  } else if (language === 'python') execute(page, python(), ['-c', code])
  else throw new Error(`${block.place}: no way to run "${language}"; mark it <!-- not run: REASON -->`)
}

/** Lines after `$ ` are commands on a terminal, the others their output, in which numbers may differ. */
function runConsole(page: string, code: string): void {
  for (const part of code.split(/^\$ /m).slice(1)) {
    const [command = '', ...expected] = part.trim().split('\n')
    const output = execute(page, 'script', ['-qec', `stty cols 200; ${command}`, '/dev/null'], { anyCode: true })
    const lines = expected.filter((line) => line.trim() !== '')
    for (const line of lines) expect(shapeOf(output), `${command}\n${output.slice(-2_000)}`).toContain(shapeOf(line))
  }
}

/** The text without numbers, durations, control sequences and differences of white space. */
function shapeOf(text: string): string {
  return (
    stripVTControlCharacters(text)
      .replaceAll(/\d+\.\d+/g, 'N')
      .replaceAll(/[0-9a-f]{12}/g, 'HASH')
      .replaceAll(/\d+/g, 'N')
      .replaceAll(/\s+/g, ' ')
      // Left out when it took less than a second.
      .replaceAll(/ in [^(→]+\(N rows\/s\)/g, '')
      .trim()
  )
}

/** Returns what the program prints. */
function execute(page: string, program: string, args: string[], { anyCode = false } = {}): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: folderOf(page),
    encoding: 'utf8',
    timeout: 100_000,
    env: {
      ...process.env,
      PATH: `${join(dir, 'bin')}:${process.env['PATH']}`,
      REAL_CURL: spawnSync('sh', ['-c', 'command -v curl'], { encoding: 'utf8' }).stdout.trim(),
      INFERQ_URL: `http://localhost:${port}`,
      // As `npm start` prints it.
      REDIS_URL: /redis-cli -u (\S+)/.exec(stack.lines.join('\n'))?.[1],
    },
  })
  const output = `${stdout}${stderr}`
  if (!anyCode) expect(status, `${error?.message ?? ''}${output}`).toBe(0)
  return output
}

/** A Python that has the clients of the examples. */
function python(): string {
  const program = join(ENVIRONMENT, 'bin/python')
  if (existsSync(program)) return program
  spawnSync('python3', ['-m', 'venv', ENVIRONMENT], { stdio: 'inherit' })
  spawnSync(program, ['-m', 'pip', 'install', '-q', 'openai'], { stdio: 'inherit' })
  return program
}

function markdownIn(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => (name.endsWith('.md') ? [`${folder}/${name}`] : []))
}
