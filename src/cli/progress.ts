// Shows how far something is: a bar on a terminal, a line once in a while elsewhere.
import { SingleBar } from 'cli-progress'
import { countText, secondsText } from './format.ts'
import { Rate } from './rate.ts'
import { report, type Terminal } from './terminal.ts'

export interface Progress {
  set(done: number): void
  /** Says something without tearing the bar. */
  note(line: string): void
  stop(): void
}

export interface ProgressOptions {
  /** What is counted, for example `rows`. */
  unit: string
  total: number
  /** What was done before. */
  done?: number
  /** How a count reads. */
  count?: (count: number) => string
}

const LINE_EVERY_MS = 10_000
const BAR_EVERY_MS = 500

export function showProgress(terminal: Terminal, options: ProgressOptions): Progress {
  const { unit, total, done: before = 0, count = countText } = options
  const rate = new Rate(before, Date.now())
  let done = before
  const facts = () => {
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
  const shown = terminal.stderr.isTTY ? bar(terminal, total, done, facts) : lines(terminal, facts)
  return {
    set: (now) => {
      done = now
      rate.add(done, Date.now())
      shown.update(done)
    },
    note: (line) => shown.aside(() => report(terminal, line)),
    stop: () => shown.stop(),
  }
}

interface Facts {
  percent: number
  count: string
  of: string
  pace: string
  left: string
  unit: string
}

interface Shown {
  update(done: number): void
  aside(write: () => void): void
  stop(): void
}

function bar(terminal: Terminal, total: number, done: number, facts: () => Facts): Shown {
  const single = new SingleBar({
    stream: terminal.stderr,
    format: '{bar} {percent} %  {count} of {of} {unit}  {pace}  {left} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    // Ctrl-C is the command's own business.
    gracefulExit: false,
    forceRedraw: true,
  })
  let at = done
  single.start(total, done, facts())
  // Time goes on also while nothing comes.
  const timer = setInterval(() => single.update(at, facts()), BAR_EVERY_MS)
  const stop = () => {
    clearInterval(timer)
    single.stop()
  }
  return {
    update: (now) => {
      at = now
      single.update(now, facts())
    },
    aside: (write) => {
      terminal.stderr.write('\r\u001b[2K')
      write()
      single.render()
    },
    stop,
  }
}

function lines(terminal: Terminal, facts: () => Facts): Shown {
  const timer = setInterval(() => {
    const { percent, count, of, unit, pace, left } = facts()
    report(terminal, `${count} of ${of} ${unit} (${percent} %), ${pace}, ${left} left`)
  }, LINE_EVERY_MS)
  return { update: () => undefined, aside: (write) => write(), stop: () => clearInterval(timer) }
}
