// The command line as a person runs it: the real program of dist/, its output and its exit code.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

export interface CliOptions {
  /** Written to its stdin, which is closed then; undefined: the test writes and closes it. */
  input?: string | Buffer | undefined
  cwd?: string
  env?: Record<string, string | undefined>
}

export interface CliEnd {
  code: number | null
  stdout: string
  stderr: string
}

export interface RunningCli {
  child: ChildProcessWithoutNullStreams
  /** What it has said so far. */
  said: { stdout: string; stderr: string }
  ended: Promise<CliEnd>
}

const MAIN = resolve('dist/cli/main.js')

export function startCli(args: string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, INFERQ_URL: undefined, INFERQ_API_KEY: undefined, MODELS_DIR: undefined, ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined)
  if (options.input !== undefined) child.stdin.end(options.input)
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...said }))
  return { child, said, ended }
}

export function runCli(args: string[], options: CliOptions = {}): Promise<CliEnd> {
  return startCli(args, { input: '', ...options }).ended
}
