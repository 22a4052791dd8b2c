import { defineConfig } from 'vitest/config'

const seconds = 1_000

// TEST_RESULTS is set by bin/test.mjs, which adds up what the runs report.
const results = process.env['TEST_RESULTS']

export default defineConfig({
  test: {
    reporters: results ? ['default', ['json', { outputFile: results }]] : ['default'],
    // Test files start processes and models: more of them at once than CPUs only makes each one slow. Those of integration and
    // e2e wait much, so their scripts run three.
    maxWorkers: 2,
    restoreMocks: true,
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60 * seconds } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          globalSetup: 'test/helpers/redis-for-run.ts',
          // Twice the default deadline of waitFor, whose message names what did not happen.
          testTimeout: 60 * seconds,
          hookTimeout: 60 * seconds,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/helpers/output/check.ts', 'test/helpers/redis-for-run.ts'],
          testTimeout: 60 * seconds,
          hookTimeout: 120 * seconds,
        },
      },
      {
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          globalSetup: 'test/helpers/redis-for-run.ts',
          fileParallelism: false,
          testTimeout: 60 * seconds,
          hookTimeout: 120 * seconds,
        },
      },
    ],
  },
})
