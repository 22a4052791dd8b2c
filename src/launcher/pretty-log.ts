// Formats the children's JSON log lines for the terminal.
import { styleText } from 'node:util'

const LEVELS: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }

/**
 * Formats a log line as time, level, process name, message, the error's message, and other fields as JSON. Any other
 * line is returned with its process name.
 */
export function prettyLine(name: string, line: string): string {
  const record = fieldsOf(line)
  if (!('level' in record)) return line === '' ? '' : `${name}: ${line}`
  const { level, time, msg, err, process: _, pid: __, hostname: ___, ...rest } = record
  const label = LEVELS[Number(level)] ?? 'info'
  const clock = new Date(time as string | number).toTimeString().slice(0, 8)
  const parts = [
    asText(msg),
    err === undefined ? '' : `(${asText(messageOf(err))})`,
    Object.keys(rest).length > 0 ? JSON.stringify(rest) : '',
  ]
  return `${clock} ${colored(label, Number(level))} ${name}: ${parts.filter(Boolean).join(' ')}`
}

/** The fields of a JSON line; empty when the line is not a JSON object. */
export function fieldsOf(line: string): Record<string, unknown> {
  if (!line.startsWith('{')) return {}
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return {}
  }
}

function messageOf(err: unknown): unknown {
  return typeof err === 'object' && err !== null && 'message' in err ? err.message : err
}

function asText(value: unknown): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function colored(label: string, level: number): string {
  const color = level >= 50 ? 'red' : level >= 40 ? 'yellow' : 'dim'
  return styleText(color, label.padEnd(5), { stream: process.stdout })
}
