// Opens a page in the browser of the machine's display.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Resolves with why no browser was started; undefined when one was. */
export async function openInBrowser(url: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const program = browserProgram(process.platform, env)
  if (program === undefined) return 'this machine has no display'
  const child = spawn(program, [url], { env, stdio: 'ignore', detached: true })
  try {
    await once(child, 'spawn')
    child.unref()
    return undefined
  } catch (error) {
    return `${program} cannot be started (${(error as NodeJS.ErrnoException).code})`
  }
}

/** The program that opens a URL; undefined without a display. Of WSL, it is the one of Windows. */
export function browserProgram(platform: NodeJS.Platform, env: NodeJS.ProcessEnv): string | undefined {
  if (platform === 'darwin') return 'open'
  if (env['WSL_DISTRO_NAME']) return 'explorer.exe'
  return env['DISPLAY'] || env['WAYLAND_DISPLAY'] ? 'xdg-open' : undefined
}
