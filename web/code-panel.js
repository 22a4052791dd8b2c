// A panel that shows a call as code, to be copied.
import { storedKey } from './api.js'
import { element } from './dom.js'

/** @type {[string, string][]} */
const LANGUAGES = [
  ['curl', 'curl'],
  ['javascript', 'JavaScript'],
  ['python', 'Python'],
]

/**
 * @param {string} title
 * @returns {{element: HTMLElement, show: (make: (withKey: boolean) => import('./code.js').Code) => void}}
 */
export function codePanel(title) {
  let language = 'curl'
  /** @type {((withKey: boolean) => import('./code.js').Code) | undefined} */
  let make
  const code = element('code')
  const shown = element('pre', { tabIndex: 0, role: 'region', 'aria-label': 'Code' }, code)
  const buttons = LANGUAGES.map(([name, label]) =>
    element('button', { type: 'button', 'data-name': name, onclick: () => choose(name) }, label),
  )
  const copy = element('button', { type: 'button', class: 'copy', onclick: () => void copyText() }, 'Copy')
  const status = element('span', { class: 'hidden-label', role: 'status' })
  const panel = element(
    'details',
    { class: 'card code', ontoggle: () => render() },
    element('summary', {}, title),
    element('div', { class: 'code-bar', role: 'group', 'aria-label': 'Language' }, ...buttons, copy, status),
    shown,
  )
  choose(language)

  /** @param {string} name */
  function choose(name) {
    language = name
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset['name'] === name))
    render()
  }

  function render() {
    const all = make?.(storedKey() !== null)
    code.textContent = all?.[/** @type {'curl'} */ (language)] ?? ''
  }

  async function copyText() {
    const text = code.textContent ?? ''
    // The clipboard is only there on https and localhost; elsewhere the text is selected, to be copied by hand.
    const copied = await (navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    ) ?? false)
    if (!copied) getSelection()?.selectAllChildren(code)
    copy.textContent = copied ? 'Copied' : 'Selected'
    status.textContent = copied ? 'The code is copied.' : 'The code is selected; press Control and C to copy it.'
    setTimeout(() => (copy.textContent = 'Copy'), 2_000)
  }

  return {
    element: panel,
    show: (given) => {
      make = given
      render()
    },
  }
}
