// Starts a program of dist/, waits until it is ready, keeps its output, and stops it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { recordOutput } from './output/record.ts'
import { waitFor } from './wait-for.ts'

export interface StartOptions {
  /** Added to this process's environment; undefined removes a variable. */
  env?: Record<string, string | undefined>
  args?: string[]
  cwd?: string
  /** Ready when this URL answers 2xx. */
  readyUrl?: string
  /** Ready when a line of output satisfies this. */
  readyLine?: (line: string) => boolean
  /** Milliseconds. */
  within?: number
}

export interface StartedProcess {
  readonly child: ChildProcess
  /** Every line of stdout and stderr so far. */
  readonly lines: string[]
  /** Parsed log lines; lines that are not JSON are omitted. */
  logs(): Record<string, unknown>[]
  /** Resolves with the exit code or signal. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** SIGTERM, and SIGKILL after `grace` milliseconds; resolves with the exit code or signal. */
  stop(grace?: number): Promise<number | NodeJS.Signals>
}

/**
 * Starts `node FILE` and resolves when it is ready.
 * @throws Error with its last lines when it ends early or is not ready in time.
 */
export async function startProcess(file: string, options: StartOptions = {}): Promise<StartedProcess> {
  const child = spawn(process.execPath, [file, ...(options.args ?? [])], {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd ? { cwd: options.cwd } : {}),
  })
  recordOutput(child, 'service')
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => lines.push(line))
  }
  let endedWith: number | NodeJS.Signals | undefined
  const ended = once(child, 'exit').then(([code, signal]) => (endedWith = signal ?? code) as number | NodeJS.Signals)
  const stop = async (grace = 35_000) => {
    if (endedWith !== undefined) return endedWith
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), grace)
    const how = await ended
    clearTimeout(timer)
    return how
  }
  let outputClosed = false
  child.once('close', () => (outputClosed = true))
  const isReady = async (): Promise<'ready' | 'ended' | false> => {
    if (options.readyLine && lines.some(options.readyLine)) return 'ready'
    if (endedWith !== undefined) return outputClosed && 'ended'
    if (options.readyLine) return false
    return !options.readyUrl || (await fetch(options.readyUrl)).ok ? 'ready' : false
  }
  try {
    const how = await waitFor(`${file} to be ready`, isReady, { within: options.within ?? 30_000 })
    if (how === 'ended') throw new Error(`${file} ended with ${endedWith} before it was ready`)
  } catch (error) {
    await stop(1_000)
    throw new Error(`${(error as Error).message}\n${lines.slice(-20).join('\n')}`, { cause: error })
  }
  return { child, lines, logs: () => lines.flatMap(parsed), ended, stop }
}

function parsed(line: string): Record<string, unknown>[] {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? [value as Record<string, unknown>] : []
  } catch {
    return []
  }
}
