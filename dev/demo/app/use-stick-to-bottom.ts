import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

const NEAR_PX = 48

const distance = (box: HTMLElement) => box.scrollHeight - box.clientHeight - box.scrollTop

/**
 * Keeps a scrolling box at its newest entry, unless somebody scrolled up to read; then what they read stays where it
 * is, also when the box changes its height or older entries come before `oldest`. `newest` and `own` describe the last
 * entry.
 */
export function useStickToBottom(
  box: RefObject<HTMLElement | null>, oldest: string | undefined, newest: string | undefined, own: boolean,
) {
  const stuck = useRef(true)
  /** From the top of what is seen to the end of the last entry. */
  const below = useRef(0)
  const [unseen, setUnseen] = useState(false)

  const toBottom = useCallback(() => {
    if (!box.current) return
    box.current.scrollTop = box.current.scrollHeight
    stuck.current = true
    setUnseen(false)
  }, [box])

  useLayoutEffect(() => {
    if (box.current && !stuck.current) box.current.scrollTop = box.current.scrollHeight - below.current
  }, [box, oldest])

  useLayoutEffect(() => {
    if (newest === undefined) return
    if (stuck.current || own) toBottom()
    else setUnseen(true)
  }, [newest, own, toBottom])

  useLayoutEffect(() => {
    if (box.current) below.current = box.current.scrollHeight - box.current.scrollTop
  })

  useEffect(() => {
    const element = box.current!
    let height = element.clientHeight
    const scrolled = () => {
      stuck.current = distance(element) < NEAR_PX
      below.current = element.scrollHeight - element.scrollTop
      if (stuck.current) setUnseen(false)
    }
    const resized = new ResizeObserver(() => {
      if (stuck.current) toBottom()
      else element.scrollTop += height - element.clientHeight
      height = element.clientHeight
    })
    element.addEventListener('scroll', scrolled, { passive: true })
    resized.observe(element)
    if (element.firstElementChild) resized.observe(element.firstElementChild)
    return () => {
      element.removeEventListener('scroll', scrolled)
      resized.disconnect()
    }
  }, [box, toBottom])

  return { unseen, toBottom }
}
