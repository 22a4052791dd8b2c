import { expect, it } from 'vitest'
import { cpuQuota, defaultProcesses } from '../../../src/worker/resources.ts'

it.each([
  ['max 100000\n', undefined],
  ['200000 100000\n', 2],
  ['150000 100000\n', 2],
  ['20000 100000\n', 1],
  ['', undefined],
])('parses the CPU quota %j', (cpuMax, cpus) => {
  expect(cpuQuota(cpuMax)).toBe(cpus)
})

it('defaults to 1 to 8 processes', () => {
  expect(defaultProcesses()).toBeGreaterThanOrEqual(1)
  expect(defaultProcesses()).toBeLessThanOrEqual(8)
})
