// Stops a supervised child with SIGTERM when its parent dies; preloaded into its program.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// The IPC channel alone must not keep the child running.
process.channel?.unref()
