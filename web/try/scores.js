// The result of a text: scores as bars, what the model read, and where the time went.
import { element, note } from '../dom.js'
import { counted, milliseconds, percent } from '../format.js'

/** More labels are shown on demand. */
const MAX_SHOWN = 8

/** @typedef {{label: string, score: number}[]} Scores */

/**
 * The scores of the only text of an answer.
 * @param {Scores | Scores[]} body flat for a text, nested for a pair
 * @returns {Scores}
 */
export function scoresOf(body) {
  const [first] = body
  return /** @type {Scores} */ (Array.isArray(first) ? first : body)
}

/**
 * Parses Server-Timing: `queue;dur=1.5, infer;dur=3`.
 * @param {string | null} header
 * @returns {{name: string, ms: number}[]}
 */
export function parseTiming(header) {
  return [...(header ?? '').matchAll(/([\w-]+);dur=([\d.]+)/g)].map(([, name = '', ms]) => ({ name, ms: Number(ms) }))
}

/**
 * @param {Scores} scores highest first
 * @param {Headers} headers of the answer
 * @param {number} total milliseconds until the answer, as the page measured it
 * @returns {Node[]}
 */
export function resultOf(scores, headers, total) {
  const list = element('ol', { class: 'scores' }, ...scores.slice(0, MAX_SHOWN).map(toBar))
  const hidden = scores.slice(MAX_SHOWN)
  const more = element(
    'button',
    {
      type: 'button',
      onclick: () => {
        list.append(...hidden.map(toBar))
        more.remove()
      },
    },
    `Show ${counted(hidden.length, 'other label')}`,
  )
  return [list, ...(hidden.length > 0 ? [more] : []), timingOf(headers, total)]
}

/** @param {{label: string, score: number}} entry */
function toBar({ label, score }) {
  // Regressions and raw scores are not shares.
  const isShare = score >= 0 && score <= 1
  return element(
    'li',
    {},
    element('span', { class: 'label' }, label),
    element('span', { class: 'number' }, isShare ? percent(score) : score.toFixed(3)),
    isShare &&
      element('div', { class: 'track', 'aria-hidden': 'true' }, element('div', { class: 'fill', '--share': score })),
  )
}

/** @param {Headers} headers @param {number} total */
function timingOf(headers, total) {
  const parts = parseTiming(headers.get('Server-Timing'))
  const tokens = headers.get('X-Compute-Tokens')
  const isTruncated = Number(headers.get('X-Truncated-Texts')) > 0
  return element(
    'div',
    { class: 'timing' },
    element(
      'div',
      { class: 'timing-bar', 'aria-hidden': 'true' },
      ...parts.map(({ name, ms }) => element('span', { class: name, '--ms': Math.max(ms, 0.001) })),
    ),
    element(
      'dl',
      {},
      ...parts.map(({ name, ms }) =>
        element(
          'div',
          {},
          element('dt', {}, element('span', { class: `dot ${name}` }), name),
          element('dd', {}, milliseconds(ms)),
        ),
      ),
      element('div', {}, element('dt', {}, 'total'), element('dd', {}, milliseconds(total))),
      tokens !== null && element('div', {}, element('dt', {}, 'tokens'), element('dd', {}, tokens)),
    ),
    isTruncated && note('warn', 'The end of the text is cut off: it is longer than the model reads.'),
  )
}
