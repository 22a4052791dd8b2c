// Starts an api in this process, on a free port.
import { readApiConfig } from '../../src/api/config.ts'
import { ApiService } from '../../src/api/service.ts'
import { createLogger } from '../../src/logger.ts'

export interface StartedApi {
  url: string
  stop: () => Promise<void>
}

export async function startApi(redisUrl: string, more: NodeJS.ProcessEnv = {}): Promise<StartedApi> {
  const config = readApiConfig({
    REDIS_URL: redisUrl,
    PORT: '0',
    ADMIN_PASSWORD: 'test-password',
    STOP_DELAY: '0s',
    ...more,
  })
  const api = new ApiService(config, createLogger('api', 'silent'))
  await api.start()
  return { url: `http://127.0.0.1:${api.port}`, stop: () => api.stop() }
}
