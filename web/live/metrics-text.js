// Reads metrics in the text format of Prometheus.

/** @typedef {{labels: Record<string, string>, value: number}} Sample */

/**
 * The samples of each metric.
 * @param {string} text
 * @returns {Map<string, Sample[]>}
 */
export function parseMetrics(text) {
  const metrics = new Map()
  for (const line of text.split('\n')) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line)
    if (!found) continue
    const [, name = '', labels = '', value = ''] = found
    const samples = metrics.get(name) ?? []
    samples.push({ labels: parseLabels(labels), value: Number(value.replace('Inf', 'Infinity')) })
    metrics.set(name, samples)
  }
  return metrics
}

/** @param {string} text such as `a="1",b="2"` */
function parseLabels(text) {
  return Object.fromEntries(
    [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value = '']) => [
      name,
      value.replaceAll(/\\(.)/g, '$1'),
    ]),
  )
}

/**
 * The sum of a metric over its labels; 0 when it has no sample.
 * @param {Map<string, Sample[]>} metrics
 * @param {string} name
 * @param {(labels: Record<string, string>) => boolean} [isWanted]
 */
export function sumOf(metrics, name, isWanted = () => true) {
  return (metrics.get(name) ?? []).reduce((sum, { labels, value }) => (isWanted(labels) ? sum + value : sum), 0)
}
