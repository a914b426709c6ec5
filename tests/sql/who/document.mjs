// docs/who-may-do-what.md, out of what was really answered.
import { ACTORS } from './scene.mjs'

const table = (head, rows) => [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

function cellText(cell) {
  if (cell === null) return ''
  return cell.succeeded ? `**${cell.text}**` : cell.text
}

const attemptsTable = ({ rows }) => table(
  ['', ...ACTORS],
  rows.flatMap(({ group, name, cells }, index) => [
    ...(group === rows[index - 1]?.group ? [] : [[`*${group}*`, ...ACTORS.map(() => '')]]),
    [name, ...cells.map(cellText)],
  ]),
)

export function document(parts, steps) {
  return `# Who may do what

Everything on this page was tried, on a real PostgreSQL with the migration, over the Data API and over Realtime of the
local stack, and this is what was answered. \`npm run test:sql\` tries it again and fails when an answer differs from this
page, or when somebody writes or learns anything that they should not. The page is written by
\`UPDATE_DOCS=1 node --test tests/sql/who-may-do-what.test.mjs\`.

**Bold**: it had an effect, or told something. Everything else changed no row and told nothing of the conversation, whatever
the answer looks like: \`nothing\` is an empty list, \`forbidden\`, \`no_conversation\`, \`id_conflict\`, \`duplicate\` and
\`rejected:…\` are statuses of single rows, \`401 PT401\` says that the token belongs to another user than the client believes.

The *expired* token is a member's. The *forged* one names the owner of the messages, under a signature that does not fit. The
*former member* has written a message and was removed then. *Another* is a member who wrote before. The *service key* never
belongs into a browser; it cannot write into a conversation under somebody's name either.

${parts.map((part) => `## ${part.title}\n\n${attemptsTable(part)}`).join('\n\n')}

Forged senders, roles, numbers and times in a message are ignored: the row carries the token's user, the member's role, the
next number and the server's time. A client that repeats its own message is told \`duplicate\` and nothing new, also after it
was removed: its outbox can let go of it.

Any signed-in user can learn whether a conversation of a given id exists (\`forbidden\` or \`no_conversation\`): a client must
tell one that is still being created from one it was removed from. Use ids that say nothing, such as uuids.

## A membership that is withdrawn

It takes effect with the next statement that begins after the commit.

${table(['step', 'what comes of it'], steps)}

**What Realtime keeps.** Realtime asks the policies when a channel is joined and when it gets a new token, and keeps the
answer in between. For the inbox that does not matter: everybody may hear their own, always, and who is told what is decided
row by row, in the trigger, from \`chat_members\` as it is at that moment. A removed member hears that something has
changed and nothing more, on the same connection. The topic of a conversation, which carries nothing but typing and presence, is different: who has joined it hears
and is heard there until the token is renewed, so keep tokens short (an hour is Supabase's default).

What is said on that topic is said by a member, but Realtime does not say by which: a member could pretend that another one
is typing. Messages, receipts, edits and deletes never come that way.

## What is left to the app

- \`chat_ensure\`, and the policies of the tables that \`chat_follow\` watches: who may change the user column of a booking
  decides who is in its conversation.
- Adding \`chat_messages\` to the publication \`supabase_realtime\` is not needed. If you do, row level security holds for
  inserts and updates; of deletes Realtime tells everybody the primary key.
`
}
