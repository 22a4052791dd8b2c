// Chromium for tests, and what a page of inferq must satisfy.
import axe from 'axe-core'
import { type Browser, chromium, type Page } from 'playwright-core'

/** Starts Chromium, without the requests that it sends in the background. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      // The shared memory of a container is small; without it a page hangs.
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** Errors in the console, uncaught ones too, from now on. Failed requests are not among them: pages report these. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      complaints.push(message.text())
    }
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return complaints
}

interface Finding {
  id: string
  impact: string | null
  nodes: { html: string; failureSummary: string }[]
}

/** The serious and critical findings of axe-core, each with its elements. */
export async function findingsOf(page: Page): Promise<string[]> {
  // Evaluated in the page's main world by the debugger, which the policy of the page does not forbid.
  const violations = await page.evaluate<Finding[]>(`${axe.source}; axe.run().then(({ violations }) => violations)`)
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`))
}

/** The width that a page needs beyond that of the window, pixels: more than 0 scrolls sideways. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}
