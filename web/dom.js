// Makes elements. Text is always set as text, so nothing of an answer becomes markup.

/**
 * An element with properties, attributes and children.
 * @param {string} tag of HTML.
 * @param {Record<string, any>} [given] `class`, `data-…`, `aria-…` and `role` are attributes, `on…` listeners, `--…`
 *   custom properties of the style; the others are properties. Undefined ones are left out.
 * @param {...(Node | string | undefined | false)} children
 * @returns {HTMLElement}
 */
export function element(tag, given = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (name.startsWith('--')) made.style.setProperty(name, String(value))
    else if (name.startsWith('on')) made.addEventListener(name.slice(2), value)
    else if (/^(?:class|role|for|colspan|scope|list)$|^(?:data|aria)-/.test(name))
      made.setAttribute(name, String(value))
    else Object.assign(made, { [name]: value })
  }
  made.append(...children.filter((child) => child !== undefined && child !== false))
  return made
}

/**
 * The element of the page with an id.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id)
}

/**
 * A list of terms and their descriptions; undefined ones are left out.
 * @param {string} className
 * @param {[string, Node | string | undefined][]} entries
 */
export function descriptions(className, entries) {
  const known = entries.filter(([, value]) => value !== undefined)
  return element(
    'dl',
    { class: className },
    ...known.map(([term, value]) => element('div', {}, element('dt', {}, term), element('dd', {}, value))),
  )
}

/**
 * A sentence about what happened.
 * @param {'bad' | 'warn' | 'plain'} kind
 * @param {...(Node | string)} content
 */
export function note(kind, ...content) {
  return element('p', { class: `note ${kind}`, role: kind === 'bad' ? 'alert' : undefined }, ...content)
}
