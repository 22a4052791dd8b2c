// Access token that `hf auth login` stores.
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

const HUB = 'https://huggingface.co'

/**
 * The token in HF_TOKEN_PATH, by default `~/.cache/huggingface/token` (`constants.py` of huggingface_hub). It belongs to the
 * Hub, so it is never used for a mirror.
 * @returns undefined when there is none.
 */
export async function storedToken(endpoint: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (endpoint.replace(/\/+$/, '') !== HUB) return undefined
  const cache = env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const path = env['HF_TOKEN_PATH'] || join(env['HF_HOME'] || join(cache, 'huggingface'), 'token')
  const token = await readFile(path, 'utf8').catch(() => '')
  return token.trim() || undefined
}
