// A chart of the last minutes, with a legend that has the values under the cursor, or the last ones.
import { element } from '../dom.js'

const HEIGHT = 170
/** A new chart is not stretched over its first seconds. */
const MIN_SECONDS = 60

/** The library of charts is loaded with the first one. */
let library = /** @type {Promise<any> | undefined} */ (undefined)

function loadLibrary() {
  library ??= Promise.resolve().then(async () => {
    document.head.append(
      element('link', { rel: 'stylesheet', href: new URL('../uplot/uPlot.min.css', import.meta.url).href }),
    )
    return (await import(new URL('../uplot/uPlot.esm.js', import.meta.url).href)).default
  })
  return library
}

/**
 * @param {string} title
 * @param {{name: string, color: string}[]} series `color` is a custom property of the page
 * @param {{format: (value: number) => string, max?: number}} options `max`: the least upper end of the scale
 */
export function chart(title, series, { format, max = 0 }) {
  const id = `chart-${title.replaceAll(/\W+/g, '-').toLowerCase()}`
  const values = series.map(() => element('dd', { class: 'number' }, '–'))
  const legend = element(
    'dl',
    { class: 'legend' },
    ...series.map(({ name, color }, index) =>
      element(
        'div',
        {},
        element('dt', {}, element('span', { class: 'dot', '--color': `var(${color})` }), name),
        values[index],
      ),
    ),
  )
  const plot = element('div', { class: 'plot', role: 'img' })
  const root = element(
    'section',
    { class: 'card chart', 'aria-labelledby': id },
    element('h2', { id }, title),
    legend,
    plot,
  )
  /** @type {any} */
  let drawn
  /** @type {(number | null)[][]} */
  let data = [[], ...series.map(() => [])]
  new ResizeObserver(() => drawn?.setSize({ width: plot.clientWidth, height: HEIGHT })).observe(plot)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => void draw())

  async function draw() {
    const uPlot = await loadLibrary()
    drawn?.destroy()
    const style = getComputedStyle(document.documentElement)
    const color = (/** @type {string} */ name) => style.getPropertyValue(name)
    const axis = {
      stroke: color('--muted'),
      font: '12px system-ui, sans-serif',
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    }
    drawn = new uPlot(
      {
        width: plot.clientWidth,
        height: HEIGHT,
        padding: [12, 8, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: {
          x: {
            range: (/** @type {any} */ _u, /** @type {number} */ low, /** @type {number} */ high) => [
              Math.min(low, high - MIN_SECONDS),
              high,
            ],
          },
          y: {
            range: (/** @type {any} */ _u, /** @type {number} */ _low, /** @type {number} */ high) => [
              0,
              Math.max(max, (high || 0) * 1.1) || 1,
            ],
          },
        },
        axes: [
          {
            ...axis,
            space: 90,
            size: 24,
            values: (/** @type {any} */ _u, /** @type {number[]} */ times) => times.map(clock),
          },
          { ...axis, size: 58, values: (/** @type {any} */ _u, /** @type {number[]} */ marks) => marks.map(format) },
        ],
        series: [
          {},
          ...series.map(({ name, color: stroke }) => ({
            label: name,
            stroke: color(stroke),
            width: 2,
            spanGaps: false,
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [() => showValues()] },
      },
      data,
      plot,
    )
    showValues()
  }

  function showValues() {
    const last = (data[0]?.length ?? 0) - 1
    const at = drawn?.cursor.idx ?? last
    const texts = series.map((_each, index) => {
      const value = data[index + 1]?.[at]
      return value === null || value === undefined ? '–' : format(value)
    })
    for (const [index, text] of texts.entries()) if (values[index] !== undefined) values[index].textContent = text
    plot.setAttribute(
      'aria-label',
      `${title}: ${series.map(({ name }, index) => `${name} ${texts[index]}`).join(', ')}`,
    )
  }

  return {
    element: root,
    /** @param {(number | null)[][]} given times in Unix seconds, and the values of each series */
    show: async (given) => {
      data = given
      if (drawn === undefined) await draw()
      else {
        drawn.setData(data)
        showValues()
      }
    },
  }
}

/** @param {number} seconds Unix time */
function clock(seconds) {
  return new Date(seconds * 1_000).toLocaleTimeString('en-GB')
}
