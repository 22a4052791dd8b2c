// The commands of an operator: `status`, `doctor`, `jobs` and `admin-password`.
import { type Command, Option } from 'commander'
import type { ClientOptions, Inferq } from '../../client/client.ts'
import { positiveInteger } from '../predict-options.ts'
import type { Terminal } from '../terminal.ts'
import { printAdminPassword } from './admin-password.ts'
import { JOB_STATES, type JobsFlags, printJobs } from './jobs.ts'
import { printStatus } from './status.ts'

export interface OperateCommands {
  client: (more?: Partial<ClientOptions>) => Promise<Inferq>
  /** The URL of the server, as given. */
  url: () => string
  isUrlGiven: () => boolean
  terminal: Terminal
  setExitCode: (code: number) => void
}

/** An operator is not to wait for a server that is away or busy. */
const SHORT: Partial<ClientOptions> = { maxUnavailableWait: 0, maxBusyWait: 10, timeout: 10 }

export function addOperateCommands(
  program: Command,
  { client, url, isUrlGiven, terminal, setExitCode }: OperateCommands,
): void {
  program
    .command('status')
    .description('Prints whether the server is well, what waits and why, and which workers serve which models.')
    .option('--json', 'one JSON object')
    .addHelpText('after', STATUS_EXAMPLES)
    .action(async ({ json = false }: { json?: boolean }) =>
      setExitCode(await printStatus(await client(SHORT), { url: url(), json }, terminal)),
    )

  program
    .command('doctor')
    .description(
      'Checks Node, packages, settings, memory, disk, Redis, models, ports and the server, with the remedy of each finding.',
    )
    .option('--json', 'one JSON object')
    .addHelpText('after', DOCTOR_EXAMPLES)
    .action(async ({ json = false }: { json?: boolean }) => {
      const { examine } = await import('../doctor/doctor.ts')
      setExitCode(await examine(await client(SHORT), { url: url(), isUrlGiven: isUrlGiven(), json }, terminal))
    })

  program
    .command('jobs')
    .description('Lists predictions that wait, run or failed, with their age and the reason.')
    .addOption(new Option('--state <states...>', 'only these (default: waiting, running, failed)').choices(JOB_STATES))
    .option('--limit <n>', 'maximum number', positiveInteger, 50)
    .option('--json', 'one JSON object per prediction')
    .addHelpText('after', JOBS_EXAMPLES)
    .action(async (flags: JobsFlags) => setExitCode(await printJobs(await client(SHORT), flags, terminal)))

  program
    .command('admin-password')
    .description('Prints a new strong password for the dashboard, and where to set it.')
    .option('--json', 'one JSON object')
    .addHelpText('after', PASSWORD_EXAMPLES)
    .action(async (flags: { json?: boolean }) => setExitCode(await printAdminPassword(flags, terminal)))
}

const STATUS_EXAMPLES = `
Examples:
  $ inferq status
  $ inferq status --json | jq .queue

Exit codes: 0 the server is healthy, 1 it is not or does not answer. Warnings name what is nearly full.`

const DOCTOR_EXAMPLES = `
Examples:
  $ inferq doctor
  $ REDIS_URL=redis://10.0.0.5:6379 MODELS_DIR=/srv/models inferq doctor --url http://10.0.0.7:8000

It checks this machine with the settings of its environment, and the server of --url. It changes nothing.
Exit codes: 0 nothing prevents the service, 1 there is a problem.`

const JOBS_EXAMPLES = `
Examples:
  $ inferq jobs
  $ inferq jobs --state failed --json | jq -r .reason

They are the predictions of the API key, the newest first. Calls that wait (/predict) have no id and are in none of the lists;
inferq status counts them. inferq batch list has the batches.`

const PASSWORD_EXAMPLES = `
Examples:
  $ inferq admin-password
  $ ADMIN_PASSWORD=$(inferq admin-password) inferq serve ./my-classifier

The password alone is on stdout; nothing is stored or sent.`
