// The page: shows the section that the address names. Sections other than Try are loaded when they are first shown.
import { byId, element } from './dom.js'
import { startKeyBar } from './key-bar.js'
import { startTry } from './try/try.js'

/** Each section has `show(rest)`, where `rest` is the address after its name, and `hide()`. */
const load = {
  try: async () => startTry(),
  batches: async () => (await import('./batches/section.js')).startBatches(byId('section-batches')),
  live: async () => (await import('./live/section.js')).startLive(byId('section-live')),
}
const TITLES = { try: 'inferq', batches: 'Batches · inferq', live: 'Live · inferq' }

/** @type {Map<string, Promise<{show: (rest: string) => void, hide: () => void}>>} */
const sections = new Map()
/** @type {keyof typeof load | undefined} */
let shown
const failure = element('p', { role: 'alert' }, 'This section could not be loaded: reload the page.')

startKeyBar()
addEventListener('hashchange', () => void showAddressed(true))
void showAddressed(false)

/** @param {boolean} moved whether the reader has followed a link, so that the focus moves too */
async function showAddressed(moved) {
  const [name = '', ...rest] = location.hash.slice(1).split('/')
  // The link that skips the header is no section.
  if (name === 'main') return
  const wanted = name in load ? /** @type {keyof typeof load} */ (name) : 'try'
  const before = shown
  shown = wanted
  for (const each of Object.keys(load)) byId(`section-${each}`).hidden = each !== wanted
  for (const link of document.querySelectorAll('.tabs a')) {
    if (link.getAttribute('href') === `#${wanted}`) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  document.title = TITLES[wanted]
  if (before !== undefined && before !== wanted)
    void sections.get(before)?.then(
      (section) => section.hide(),
      () => undefined,
    )
  if (!sections.has(wanted)) sections.set(wanted, load[wanted]())
  failure.remove()
  const section = await sections.get(wanted)?.catch(() => {
    sections.delete(wanted)
    byId(`section-${wanted}`).append(failure)
  })
  if (shown === wanted) section?.show(rest.join('/'))
  if (moved && before !== wanted) scrollTo(0, 0)
  // The link or button that was used may be gone; the focus then continues with the section.
  if (moved && document.activeElement === document.body) byId('main').focus({ preventScroll: true })
}
