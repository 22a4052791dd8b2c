// Runs the command line as a process from dist/.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { recordOutput } from './output/record.ts'

export interface CliOptions {
  /** Written to stdin, which is then closed; undefined leaves stdin open for the test. */
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
  /** The output so far. */
  output: { stdout: string; stderr: string }
  ended: Promise<CliEnd>
}

const MAIN = resolve('dist/cli/main.js')

export function startCli(args: string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, INFERQ_URL: undefined, INFERQ_API_KEY: undefined, MODELS_DIR: undefined, ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
  })
  recordOutput(child, 'cli')
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  // The process may end before it has read all of its input.
  child.stdin.on('error', () => undefined)
  if (options.input !== undefined) child.stdin.end(options.input)
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...output }))
  return { child, output, ended }
}

export function runCli(args: string[], options: CliOptions = {}): Promise<CliEnd> {
  return startCli(args, { input: '', ...options }).ended
}
