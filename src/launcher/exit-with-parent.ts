// Loaded ahead of a supervised child's own program: a child whose parent has died stops as if it had been asked to.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// The channel by itself must not keep the child alive.
process.channel?.unref()
