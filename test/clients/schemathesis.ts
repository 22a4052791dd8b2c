// Requests that schemathesis generates from the OpenAPI document: its examples, and the limits of every parameter and field.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Result, Target } from './node/checks.ts'

const FOLDER = fileURLToPath(new URL('python', import.meta.url))
/** The whole run, which takes half a minute on an idle machine; what is left then is not sent. */
const MAX_SECONDS = 60
/** Long polls and streams wait for predictions that do not end; the run has none. */
const REQUEST_SECONDS = 20

/** @param python of the virtual environment. @param print gets the report of a run with findings. */
export async function checkSchemathesis(
  { url, key }: Target,
  python: string,
  print: (report: string) => void,
): Promise<Result> {
  const run = async (args: string[]) => {
    const env = { ...process.env, PYTHONPATH: FOLDER, SCHEMATHESIS_HOOKS: 'schemathesis_hooks' }
    const cwd = dirname(python)
    const child = spawn(join(cwd, 'schemathesis'), args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    return { output: await text(child.stdout), code: await ended }
  }
  const version = (await run(['--version'])).output.trim().split(' ').at(-1)
  const { output, code } = await run([
    '--config-file',
    join(FOLDER, 'schemathesis.toml'),
    'run',
    `${url}/openapi.json`,
    `--header=Authorization: Bearer ${key}`,
    '--phases=examples,coverage',
    '--seed=1',
    `--max-time=${MAX_SECONDS}`,
    `--request-timeout=${REQUEST_SECONDS}`,
    '--no-color',
  ])
  const ok = code === 0 && /[1-9]\d* passed/.test(output)
  if (!ok) print(output)
  const feature = 'its requests, from the examples and limits of the OpenAPI document, get what the document says'
  return { client: `schemathesis ${version}`, feature, ok, note: ok ? '' : `exit code ${code}` }
}
