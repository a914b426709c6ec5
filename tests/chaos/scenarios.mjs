// What a browser and a network do to the operator's pages. `run` writes all messages and ends when they should be on
// their way; afterwards everything has to be stored within the time that was granted.
import { setTimeout as sleep } from 'node:timers/promises'

/** With one page that stays, while something is wrong with the server all the time. */
const throughout = (...faults) => async (run) => {
  const page = await run.open()
  await run.untilConnected()
  for (const fault of faults) run.fault(fault)
  await run.write({ from: () => page })
}

/** Something happens once, when half is written. */
const inTheMiddle = (happens) => async (run) => {
  await run.open()
  await run.untilConnected()
  await run.write({ upTo: 0.5 })
  await happens(run)
  await run.write()
}

const outageSeconds = (quick) => (quick ? 6 : 20)

/** Some tabs, of which one dies again and again, and another one comes. */
const dying = (tabs) => async (run, { quick }) => {
  for (let index = 0; index < tabs; index++) await run.open()
  await run.untilConnected()
  const deaths = quick ? 3 : 15
  let done = 0
  let coming = 0
  const opened = []
  const another = async () => {
    coming++
    await run.open().finally(() => coming--)
  }
  await run.write({
    async during() {
      if (run.progress < (done + 0.5) / deaths || done >= deaths) return
      done++
      const crashes = run.random() < 0.5
      await run.outage(async () => {
        // Who crashes in Firefox may take a neighbour along, also one that is only just coming.
        if (crashes) await Promise.all(opened)
        const victim = run.any()
        await (crashes ? run.crash(victim) : run.close(victim))
      })
      // The others go on while it comes.
      while (run.alive.length + coming < tabs) {
        const tab = another()
        // Who waits for it in the end is told why it did not come.
        tab.catch(() => {})
        opened.push(tab)
      }
      if (run.alive.length === 0) await run.outage(() => Promise.all(opened))
    },
  })
  await Promise.all(opened)
}

/** The first tab leads, something stops it, and another one goes on writing; in the end it comes back. */
const stopped = (stop, start) => async (run) => {
  const leader = await run.open()
  await run.untilConnected()
  const other = await run.open()
  await run.untilConnected()
  await run.write({ upTo: 0.3, from: () => leader })
  await other.tab.show()
  await stop(run, leader)
  await run.write({ upTo: 0.9, from: () => other })
  await run.complete([other])
  await run.settle(() => [other])
  await start(run, leader)
  await run.write({ from: () => run.any([leader, other]) })
}

export const SCENARIOS = [
  { name: 'nothing wrong', about: 'for comparison', run: throughout() },
  {
    name: 'answers lost', about: '30 % of all answers are lost after the commit',
    run: throughout({ kind: 'lose_answer', probability: 0.3 }),
  },
  { name: '503', about: '50 % of all requests are answered with 503', run: throughout({ kind: 'status', status: 503, probability: 0.5 }) },
  {
    name: '429', about: '30 % of all requests are answered with 429, and no page can read Retry-After',
    run: throughout({ kind: 'status', status: 429, retryAfter: 1, probability: 0.3 }),
  },
  {
    name: 'live events', about: '30 % lost, 30 % of the rest doubled, 30 % of the rest late, 30 % shortened',
    run: throughout(...['drop_live', 'double_live', 'reorder_live', 'truncate_live'].map((kind) => ({ kind, probability: 0.3 }))),
  },
  {
    name: 'outage', about: 'no server at all for 20 s (quick: 6 s), and all sockets are cut',
    async run(run, { quick }) {
      await run.open()
      await run.untilConnected()
      await run.write({ upTo: 0.3 })
      const end = run.fault({ kind: 'offline' })
      const writing = run.write({ upTo: 0.8 })
      await run.outage(() => sleep(outageSeconds(quick) * 1000))
      end()
      await writing
      await run.write()
    },
  },
  {
    name: 'expired token', about: 'tokens live for 5 s, and in the middle all of them expire at once',
    async run(run) {
      run.tokenSeconds = 5
      await inTheMiddle((run) => {
        run.fault({ kind: 'expire_tokens' })
      })(run)
    },
  },
  {
    name: 'reload', about: 'the page is reloaded in the middle, with messages under way',
    run: inTheMiddle((run) => run.outage(() => run.reload(run.alive[0]))),
  },
  {
    name: 'killed browser', about: 'SIGKILL of the browser 20 times (quick: 3), and again on the same profile',
    async run(run, { quick }) {
      const times = quick ? 3 : 20
      await run.open()
      await run.untilConnected()
      for (let life = 1; life <= times; life++) {
        await run.write({ upTo: life / (times + 1) })
        await run.outage(async () => {
          await run.kill()
          await run.launch()
          await run.open()
        })
      }
      await run.write()
    },
  },
  { name: 'two tabs', about: 'of which one is closed or crashes 15 times (quick: 3)', run: dying(2) },
  { name: 'five tabs', about: 'the same with five', run: dying(5) },
  {
    name: 'frozen leader', about: 'the leading tab is frozen while another one sends', wants: 'freeze',
    run: stopped((run, leader) => leader.tab.freeze(), (run, leader) => leader.tab.thaw()),
  },
  {
    name: 'stuck leader', about: 'the main thread of the leading tab is blocked while another one sends',
    run: stopped(
      async (run, leader) => leader.page.tell('hang'),
      async (run) => run.bridge.release(),
    ),
  },
]
