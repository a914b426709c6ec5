import { type ReactNode, useState } from 'react'
import type { Role } from './demo'
import { FAULTS, useFaults } from './faults'

const SHOWN_AT_FIRST = 'b0000000-0000-4000-8000-000000000001'
const ROLES: readonly Role[] = ['operator', 'client']
const NAMES = { operator: 'Operator', client: 'Client', faults: 'Faults' }

type Tab = keyof typeof NAMES

/** Both pages side by side with the faults below; on a phone one of the three at a time. */
export default function StartPage() {
  const [tab, setTab] = useState<Tab>('operator')
  return (
    <div className="start">
      <title>surechat demo</title>
      <header className="start-bar">
        <h1>surechat</h1>
        <p>Two people, one conversation, and a network that may fail whenever you say so.</p>
        <div className="tabs" role="group" aria-label="Shown">
          {(Object.keys(NAMES) as Tab[]).map((name) => (
            <button key={name} type="button" aria-pressed={tab === name} onClick={() => setTab(name)}>{NAMES[name]}</button>
          ))}
        </div>
      </header>
      <main className="stage">
        {ROLES.map((role) => (
          <Pane key={role} name={role} shown={tab === role}>
            <h2><a href={`/${role}?booking=${SHOWN_AT_FIRST}`} target="_blank" rel="noreferrer">{NAMES[role]}<span aria-hidden="true"> ↗</span></a></h2>
            <iframe title={`${NAMES[role]}’s page`} src={`/${role}?booking=${SHOWN_AT_FIRST}`} />
          </Pane>
        ))}
        <Pane name="faults" shown={tab === 'faults'}><FaultPanel /></Pane>
      </main>
    </div>
  )
}

function Pane({ name, shown, children }: { name: Tab; shown: boolean; children: ReactNode }) {
  return <section className="pane" data-name={name} data-shown={shown}>{children}</section>
}

function FaultPanel() {
  const { reachable, any, isOn, flip, clear } = useFaults()
  return (
    <>
      <header className="faults-bar">
        <h2>What goes wrong</h2>
        <p role="status">{!reachable ? 'The local stack does not answer.' : any ? 'Faults are active.' : 'Everything works.'}</p>
        <button type="button" className="button" disabled={!any} onClick={clear}>All clear</button>
      </header>
      <ul className="faults">
        {FAULTS.map((fault) => (
          <li key={fault.name} className="fault">
            <h3>{fault.name}</h3>
            <p>{fault.about}</p>
            <div className="fault-sides">
              {ROLES.map((role) => (
                <button
                  key={role} type="button" className="toggle" aria-label={`${fault.name}: ${NAMES[role]}`}
                  aria-pressed={fault.once ? undefined : isOn(fault, role)} onClick={() => flip(fault, role)}
                >{NAMES[role]}</button>
              ))}
            </div>
          </li>
        ))}
      </ul>
    </>
  )
}
