import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cpuQuota, defaultProcesses } from '../../../src/worker/resources.ts'

let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'inferq-cgroup-'))
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('the CPU quota', () => {
  it.each([
    ['max 100000\n', undefined],
    ['200000 100000\n', 2],
    ['150000 100000\n', 2],
    ['20000 100000\n', 1],
    ['', undefined],
  ])('of cgroup version 2 is read from %j', (cpuMax, cpus) => {
    writeFileSync(join(dir, 'cpu.max'), cpuMax)
    expect(cpuQuota(dir)).toBe(cpus)
  })

  it.each([
    ['-1\n', undefined],
    ['150000\n', 2],
    ['20000\n', 1],
  ])('of cgroup version 1 is read from %j', (quota, cpus) => {
    mkdirSync(join(dir, 'cpu'))
    writeFileSync(join(dir, 'cpu/cpu.cfs_quota_us'), quota)
    writeFileSync(join(dir, 'cpu/cpu.cfs_period_us'), '100000\n')
    expect(cpuQuota(dir)).toBe(cpus)
  })

  it('is none without a cgroup', () => {
    expect(cpuQuota(dir)).toBeUndefined()
  })
})

it('defaults to 1 to 8 processes', () => {
  expect(defaultProcesses()).toBeGreaterThanOrEqual(1)
  expect(defaultProcesses()).toBeLessThanOrEqual(8)
})
