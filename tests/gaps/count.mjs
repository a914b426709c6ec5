// What a reader has, against what the database holds.

/**
 * `stored` is the order of the database, `seen` what a reader took in, in its order: lists of ids. A reader that came
 * later begins with the row it names as `first`; what is before it was never its business.
 * - missed: rows it never had
 * - doubled: rows it had again
 * - disordered: rows it had behind one that the database has after them
 * - unknown: rows that are not in the database, such as those of a transaction that was rolled back
 */
export function compare(stored, seen, first = 0) {
  const place = new Map(stored.map((id, index) => [id, index]))
  const had = new Set()
  const found = { missed: 0, doubled: 0, disordered: 0, unknown: 0 }
  let furthest = -1
  for (const id of seen) {
    const index = place.get(id)
    if (index === undefined) found.unknown++
    else if (had.has(id)) found.doubled++
    else if (index < furthest) found.disordered++
    if (index > furthest) furthest = index
    had.add(id)
  }
  found.missed = stored.slice(first).filter((id) => !had.has(id)).length
  return found
}

export function sum(list) {
  const total = { missed: 0, doubled: 0, disordered: 0, unknown: 0 }
  for (const each of list) for (const name of Object.keys(total)) total[name] += each[name]
  return total
}

/** Is this shown list an unbroken part of what is stored? Answers how many rows are wrong with it. */
export function broken(stored, shown) {
  if (shown.length === 0) return 0
  const start = stored.indexOf(shown[0])
  if (start < 0) return shown.length
  return shown.filter((id, index) => stored[start + index] !== id).length
}
