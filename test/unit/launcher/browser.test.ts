import { expect, it } from 'vitest'
import { browserProgram, openInBrowser } from '../../../src/launcher/browser.ts'

it.each([
  ['darwin', {}, 'open'],
  ['linux', {}, undefined],
  ['linux', { DISPLAY: ':0' }, 'xdg-open'],
  ['linux', { WAYLAND_DISPLAY: 'wayland-0' }, 'xdg-open'],
  ['linux', { WSL_DISTRO_NAME: 'Debian' }, 'explorer.exe'],
] as const)('on %s with %j the program is %s', (platform, env, program) => {
  expect(browserProgram(platform, env)).toBe(program)
})

it.runIf(process.platform === 'linux')('has the reason why no browser starts', async () => {
  expect(await openInBrowser('http://localhost', {})).toBe('this machine has no display')
  const reason = await openInBrowser('http://localhost', { DISPLAY: ':0', PATH: '/nowhere' })
  expect(reason).toBe('xdg-open cannot be started (ENOENT)')
})
