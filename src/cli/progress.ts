// Progress of a command: a bar on a terminal, otherwise a line every 10 s.
import { countText, secondsText } from './format.ts'
import { Rate } from './rate.ts'
import { canRedraw, report, shorten, type Terminal, widthOf } from './terminal.ts'

export interface Progress {
  /** A smaller number than before is ignored. */
  set(done: number): void
  /** Like `set`; what was done until now does not count for the rate. */
  restart(done: number): void
  /** Why nothing moves; replaces the rate until more is done, or undefined is set. */
  setReason(reason: string | undefined): void
  stop(): void
}

export interface ProgressOptions {
  /** The name of the counted items, for example `rows`. */
  unit: string
  total: number
  /** Items of an earlier run; they do not count for the rate. */
  done?: number
  /** Formats a count. */
  count?: (count: number) => string
}

const LINE_INTERVAL_MS = 10_000
const BAR_INTERVAL_MS = 500
const BAR_LENGTH = 24

export function showProgress(terminal: Terminal, options: ProgressOptions): Progress {
  const { unit, total, done: before = 0, count = countText } = options
  const items = unit === '' ? '' : ` ${unit}`
  let rate = new Rate(before, Date.now())
  let done = before
  let reason: string | undefined
  const values = (): Values => {
    const now = Date.now()
    const left = secondsText(rate.secondsLeft(total, now))
    return {
      share: total > 0 ? done / total : 1,
      counts: `${count(done)} of ${count(total)}${items}`,
      pace: reason ?? `${count(rate.perSecond(now))}${items}/s, ${left} left`,
    }
  }
  const stop = canRedraw(terminal.stderr) ? showBar(terminal, values) : showLines(terminal, values)
  return {
    set: (now) => {
      if (now > done) reason = undefined
      done = Math.max(done, now)
      rate.add(done, Date.now())
    },
    restart: (now) => {
      done = Math.max(done, now)
      rate = new Rate(done, Date.now())
    },
    setReason: (text) => {
      reason = text
    },
    stop,
  }
}

interface Values {
  /** 0 to 1. */
  share: number
  counts: string
  pace: string
}

/** Carriage return, and erasure of the line. */
const CLEAR = '\r\u001b[2K'

/** @returns a function that ends it. The bar never fills the line, so that it does not wrap and can be erased. */
function showBar(terminal: Terminal, values: () => Values): () => void {
  const { stderr } = terminal
  const draw = () => {
    const { share, counts, pace } = values()
    const text = `${Math.floor(share * 100)} %  ${counts}  ${pace}`
    const width = widthOf(stderr) - 1
    // A narrow terminal has a shorter bar, or none.
    const length = Math.max(0, Math.min(BAR_LENGTH, width - text.length - 1))
    const filled = Math.floor(share * length)
    const bar = length === 0 ? '' : `${'█'.repeat(filled)}${'░'.repeat(length - filled)} `
    stderr.write(`${CLEAR}${shorten(bar + text, width)}`)
  }
  draw()
  // The rate and the time left change also while no items arrive.
  const timer = setInterval(draw, BAR_INTERVAL_MS)
  terminal.writeAbove = (write) => {
    stderr.write(CLEAR)
    write()
    draw()
  }
  return () => {
    terminal.writeAbove = undefined
    clearInterval(timer)
    stderr.write(CLEAR)
  }
}

/** @returns a function that ends them. */
function showLines(terminal: Terminal, values: () => Values): () => void {
  const timer = setInterval(() => {
    const { share, counts, pace } = values()
    report(terminal, `${counts} (${Math.floor(share * 100)} %), ${pace}`)
  }, LINE_INTERVAL_MS)
  return () => clearInterval(timer)
}
