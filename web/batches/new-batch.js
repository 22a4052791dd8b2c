// A new batch: a file is chosen, dropped or pasted, shown as it will be asked, and run.
import { callJson, keyEvents } from '../api.js'
import { codeOfBatch } from '../code.js'
import { codePanel } from '../code-panel.js'
import { element, note } from '../dom.js'
import { bytes, count, limit } from '../format.js'
import { SAMPLE_BYTES, sniff } from './input/format.js'
import { preview } from './preview.js'
import { batchRun } from './run.js'

/** Between two attempts to read the limits and the models. */
const AGAIN_MS = 5_000

export function newBatch() {
  const input = element('input', { type: 'file', id: 'batch-file', class: 'hidden-label' })
  const limitsNote = element('span', { class: 'muted small' })
  const zone = element(
    'label',
    { class: 'drop', for: 'batch-file' },
    element('strong', {}, 'Drop a file here, or choose one'),
    element(
      'span',
      { class: 'muted' },
      'CSV, JSON lines, or one text a line. Nothing leaves this page before you run it.',
    ),
    limitsNote,
  )
  const pasted = element('textarea', {
    id: 'batch-paste',
    rows: 5,
    placeholder: 'One text a line, or a table with a header',
  })
  const use = element('button', { type: 'button', onclick: () => void take(pastedFile()) }, 'Use this text')
  const paste = element(
    'details',
    { class: 'paste' },
    element('summary', {}, 'Or paste texts'),
    element(
      'div',
      { class: 'field' },
      element('label', { for: 'batch-paste', class: 'hidden-label' }, 'Texts'),
      pasted,
    ),
    use,
  )
  const status = element('div', { class: 'stack', 'aria-live': 'polite' })
  const chosen = element('div', { class: 'stack' })
  const code = codePanel('Run a file from code')
  const choose = element('div', { class: 'stack choose' }, element('div', { class: 'drop-field' }, input, zone), paste)
  const card = element(
    'section',
    { class: 'card stack', 'aria-labelledby': 'new-batch-title' },
    element('h2', { id: 'new-batch-title' }, 'New batch'),
    choose,
    status,
    chosen,
  )
  /** @type {any} */
  let limits
  /** @type {any[]} */
  let models = []
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  let isShown = false
  /** Makes only the last chosen file count. */
  let choice = 0

  input.addEventListener('change', () => {
    const [file] = /** @type {HTMLInputElement} */ (input).files ?? []
    if (file) void take(file)
  })
  for (const type of ['dragover', 'dragenter']) {
    card.addEventListener(type, (event) => {
      event.preventDefault()
      zone.classList.add('is-over')
    })
  }
  for (const type of ['dragleave', 'drop']) card.addEventListener(type, () => zone.classList.remove('is-over'))
  card.addEventListener('drop', (event) => {
    event.preventDefault()
    const [file] = event.dataTransfer?.files ?? []
    if (file) void take(file)
  })
  // A file can be pasted anywhere, a text only into its field.
  document.addEventListener('paste', (event) => {
    const [file] = event.clipboardData?.files ?? []
    if (file && isShown) void take(file)
  })
  keyEvents.addEventListener('changed', () => void start())

  function pastedFile() {
    return new File([/** @type {HTMLTextAreaElement} */ (pasted).value], 'pasted.txt')
  }

  /** Shows the file as it will be asked. Only its begin is read. @param {File} file */
  async function take(file) {
    const mine = ++choice
    try {
      const sample = new Uint8Array(await file.slice(0, SAMPLE_BYTES).arrayBuffer())
      const sniffed = sniff(sample, file.size <= SAMPLE_BYTES, file.name)
      if (mine !== choice) return
      status.replaceChildren()
      const run = batchRun()
      const shown = preview(sniffed, {
        models,
        onRun: (format, model) => void run.start({ file, format, model, limits }),
      })
      const remove = element('button', { type: 'button', onclick: () => reset(run) }, 'Choose another file')
      chosen.replaceChildren(
        element(
          'div',
          { class: 'chosen-head' },
          element('strong', { class: 'file-name' }, file.name),
          element('span', { class: 'muted small' }, bytes(file.size)),
          remove,
        ),
        shown.element,
        run.element,
      )
      run.onState = (isRunning) => shown.disable(isRunning)
      run.onCreated = () => reset(run)
      choose.hidden = true
      remove.focus()
    } catch (error) {
      if (mine !== choice) return
      status.replaceChildren(note('bad', error instanceof Error ? error.message : String(error)))
      Object.assign(input, { value: '' })
    }
  }

  /** @param {ReturnType<typeof batchRun>} run */
  function reset(run) {
    run.stop()
    choice += 1
    chosen.replaceChildren()
    choose.hidden = false
    const field = /** @type {HTMLInputElement} */ (input)
    field.value = ''
    field.focus()
  }

  async function start() {
    clearTimeout(timer)
    if (!isShown) return
    try {
      const [info, list] = await Promise.all([callJson('info'), callJson('v1/models')])
      limits = info.limits
      models = list.data.filter((/** @type {any} */ { state }) => state !== 'refused')
      limitsNote.textContent = `Up to ${count(limits.max_batch_lines)} rows and ${limit(limits.max_upload_bytes)}.`
      const model = models.find((each) => each.default)?.id ?? info.default_model
      const base = new URL('.', document.baseURI).href.replace(/\/$/, '')
      code.show((withKey) => codeOfBatch(base, { file: 'texts.jsonl', model, withKey }))
      if (status.firstElementChild?.classList.contains('from-start')) status.replaceChildren()
    } catch (error) {
      const problem = note('bad', error instanceof Error ? error.message : String(error))
      problem.classList.add('from-start')
      status.replaceChildren(problem)
      timer = setTimeout(() => void start(), AGAIN_MS)
    }
  }

  return {
    element: element('div', { class: 'stack' }, card, code.element),
    start: () => {
      isShown = true
      void start()
    },
    stop: () => {
      isShown = false
      clearTimeout(timer)
    },
  }
}
