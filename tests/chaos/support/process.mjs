import { spawn } from 'node:child_process'
import { once } from 'node:events'

// Beside the program waits a shell that hears us end, however that is, and then ends the program, what it has started,
// and its profile.
const GUARD = `profile=$1; shift; exec 3<&0 < /dev/null
{ cat <&3; kill -KILL $$; sleep 0.5; rm -rf "$profile"; kill -KILL 0; } > /dev/null 2>&1 &
exec 3<&-; exec "$@"`

/** A program in a process group of its own. */
export function start(program, args, { profile, env = process.env }) {
  const child = spawn('sh', ['-c', GUARD, 'sh', profile, program, ...args], { stdio: ['pipe', 'ignore', 'pipe'], detached: true, env })
  child.stdin.on('error', () => {})
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
