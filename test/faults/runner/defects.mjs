// A defective native library: preloaded into inference processes, it changes what ONNX Runtime does on texts of certain
// lengths and with models of certain names. See defective.ts.

import { appendFileSync } from 'node:fs'

/** By the number of a text's tokens. */
const DEFECTS = { 201: fail, 202: crash, 203: hang, 204: grow, 205: () => block(400), 206: traced }
/** By the end of a model's folder. */
const LOAD_DEFECTS = { '-fails': fail, '-crashes': crash, '-hangs': hang, '-grows': grow }

const GROWTH_BYTES = 32 * 1_048_576
/** Growth ends here, so that a missing limit does not take all memory of the machine. */
const MAX_GROWTH_BYTES = 3_000 * 1_048_576

if (process.argv[1]?.endsWith('inference/main.js')) {
  const { InferenceSession } = await import('onnxruntime-node')
  const create = InferenceSession.create.bind(InferenceSession)
  const run = Reflect.get(InferenceSession.prototype, 'run')
  InferenceSession.create = function (file, ...rest) {
    for (const [end, defect] of Object.entries(LOAD_DEFECTS)) if (file.includes?.(`${end}/`)) defect()
    return create(file, ...rest)
  }
  InferenceSession.prototype.run = function (feeds, ...rest) {
    for (const tokens of lengthsOf(feeds.attention_mask)) DEFECTS[tokens]?.()
    return run.call(this, feeds, ...rest)
  }
}

function lengthsOf({ data, dims: [texts, width] }) {
  return Array.from({ length: texts }, (_, text) => {
    const mask = data.slice(text * width, (text + 1) * width)
    return Number(mask.reduce((sum, value) => sum + value))
  })
}

/** Takes as long as a slow text, and leaves the time of its start in a file. */
function traced() {
  appendFileSync(process.env.TRACE_FILE, `${Date.now()}\n`)
  block(400)
}

function fail() {
  throw new Error('the defective library fails')
}

function crash() {
  process.kill(process.pid, 'SIGKILL')
}

function hang() {
  block(3_600_000)
}

function grow() {
  const kept = []
  for (let bytes = 0; bytes < MAX_GROWTH_BYTES; bytes += GROWTH_BYTES) {
    kept.push(Buffer.alloc(GROWTH_BYTES, 1))
    block(20)
  }
}

/** Blocks the thread, as a native call does, without taking a CPU. */
function block(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
