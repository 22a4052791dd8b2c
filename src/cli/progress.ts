// Progress of a command: a bar on a terminal, otherwise a line every 10 s.
import { SingleBar } from 'cli-progress'
import { countText, secondsText } from './format.ts'
import { Rate } from './rate.ts'
import { report, type Terminal } from './terminal.ts'

export interface Progress {
  set(done: number): void
  /** Writes a line above the bar. */
  note(line: string): void
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

export function showProgress(terminal: Terminal, options: ProgressOptions): Progress {
  const { unit, total, done: before = 0, count = countText } = options
  const rate = new Rate(before, Date.now())
  let done = before
  const values = () => {
    const now = Date.now()
    const percent = total > 0 ? Math.floor((done / total) * 100) : 100
    const pace = `${count(rate.perSecond(now))}${unit === '' ? '' : ' '}${unit}/s`
    return {
      percent,
      count: count(done),
      of: count(total),
      pace,
      left: secondsText(rate.secondsLeft(total, now)),
      unit,
    }
  }
  const display = terminal.stderr.isTTY ? showBar(terminal, total, done, values) : showLines(terminal, values)
  return {
    set: (now) => {
      done = now
      rate.add(done, Date.now())
      display.update(done)
    },
    note: (line) => display.writeAbove(() => report(terminal, line)),
    stop: () => display.stop(),
  }
}

interface Values {
  percent: number
  count: string
  of: string
  pace: string
  left: string
  unit: string
}

interface Display {
  update(done: number): void
  writeAbove(write: () => void): void
  stop(): void
}

function showBar(terminal: Terminal, total: number, done: number, values: () => Values): Display {
  const bar = new SingleBar({
    stream: terminal.stderr,
    format: '{bar} {percent} %  {count} of {of} {unit}  {pace}  {left} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    // The command handles signals.
    gracefulExit: false,
    forceRedraw: true,
  })
  let current = done
  bar.start(total, done, values())
  // The rate and the time left change also while no items arrive.
  const timer = setInterval(() => bar.update(current, values()), BAR_INTERVAL_MS)
  const stop = () => {
    clearInterval(timer)
    bar.stop()
  }
  return {
    update: (now) => {
      current = now
      bar.update(now, values())
    },
    writeAbove: (write) => {
      terminal.stderr.write('\r\u001b[2K')
      write()
      bar.render()
    },
    stop,
  }
}

function showLines(terminal: Terminal, values: () => Values): Display {
  const timer = setInterval(() => {
    const { percent, count, of, unit, pace, left } = values()
    report(terminal, `${count} of ${of} ${unit} (${percent} %), ${pace}, ${left} left`)
  }, LINE_INTERVAL_MS)
  return { update: () => undefined, writeAbove: (write) => write(), stop: () => clearInterval(timer) }
}
