import { client, report } from './client.js'

await report(() => client.send('booking-1', { content: 'Hello' }).persisted)
