import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** A program in a process group of its own. */
export function start(program, args, env = process.env) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true, env })
  let said = ''
  child.stderr.on('data', (chunk) => (said = (said + chunk).slice(-2000)))
  const exited = Promise.race([once(child, 'exit'), once(child, 'error')])
  exited.catch(() => {})
  const isOver = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
  return {
    pid: child.pid,
    /** Throws if it has ended. */
    check() {
      if (isOver()) throw new Error(`${program} has ended: ${said.trim()}`)
    },
    /** All of it, at once. */
    async kill() {
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // Nobody of the group is left.
      }
      if (!isOver()) await exited
    },
  }
}
