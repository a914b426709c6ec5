// The order of a module's functions: like beside like. gzip looks back 32 kB, and this module is many times that;
// what was compiled from one generic function is written nearly alike.

/** How many bytes in a row count as common, how many neighbours are looked at, and how fast they fade. */
const RUN = 4
const NEIGHBOURS = 4
const FADE = 0.9

/** The text of a module with its functions in a better order; `module` is the same in binary. */
export function ordered(text, module) {
  const isFunction = (part) => part.startsWith(' (func')
  const parts = text.trimEnd().slice(0, -1).split(/^(?= \()/m)
  const functions = parts.filter(isFunction)
  const order = chain(bodies(module).map(runs)).map((index) => functions[index])
  return `${parts.map((part) => (isFunction(part) ? order.shift() : part)).join('')})\n`
}

/** Each one followed by the one that has most in common with the last few. */
function chain(sets) {
  const holders = new Map()
  for (const [index, set] of sets.entries()) {
    for (const run of set) {
      if (holders.has(run)) holders.get(run).push(index)
      else holders.set(run, [index])
    }
  }
  const left = new Set(sets.keys())
  const order = []
  for (let next = 0; next !== undefined; next = closest(order, left, sets, holders)) {
    left.delete(next)
    order.push(next)
  }
  return order
}

function closest(order, left, sets, holders) {
  const common = new Float64Array(sets.length)
  order.slice(-NEIGHBOURS).reverse().forEach((neighbour, distance) => {
    for (const run of sets[neighbour]) for (const index of holders.get(run)) common[index] += FADE ** distance
  })
  const here = sets[order.at(-1)].size
  let best
  let most = -1
  for (const index of left) {
    const share = common[index] / (sets[index].size + here + 10)
    if (share > most) [best, most] = [index, share]
  }
  return best
}

function runs(body) {
  const found = new Set()
  for (let at = 0; at + RUN <= body.length; at += 1) found.add(body.readUInt32LE(at))
  return found
}

/** Of every function of a module: the entries of its code section. */
function bodies(module) {
  const CODE = 10
  let at = 8
  const number = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++]
      value |= (byte & 127) << shift
      if (byte < 128) return value
    }
  }
  for (;;) {
    const section = module[at++]
    const length = number()
    if (section === CODE) break
    at += length
  }
  return Array.from({ length: number() }, () => {
    const length = number()
    return module.subarray(at, (at += length))
  })
}
