// The children log JSON; in a terminal a person wants to read lines.
import { styleText } from 'node:util'

const levels: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }

/** One log line for people: time, level, who, message, the error's message, the rest as JSON. Anything else as it is. */
export function readable(name: string, line: string): string {
  const record = fieldsOf(line)
  if (!('level' in record)) return line === '' ? '' : `${name}: ${line}`
  const { level, time, msg, err, process: _, pid: __, hostname: ___, ...rest } = record
  const label = levels[Number(level)] ?? 'info'
  const at = new Date(time as string | number).toTimeString().slice(0, 8)
  const words = [
    asText(msg),
    err === undefined ? '' : `(${asText(messageOf(err))})`,
    Object.keys(rest).length > 0 ? JSON.stringify(rest) : '',
  ]
  return `${at} ${coloured(label, Number(level))} ${name}: ${words.filter(Boolean).join(' ')}`
}

/** What a JSON line holds; nothing when it is none. */
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

function coloured(label: string, level: number): string {
  const colour = level >= 50 ? 'red' : level >= 40 ? 'yellow' : 'dim'
  return styleText(colour, label.padEnd(5), { stream: process.stdout })
}
