import { type KeyboardEvent, type RefObject, useEffect, useId, useLayoutEffect, useRef, useState } from 'react'

interface Props {
  /** What the button is called. */
  label: string
  button: RefObject<HTMLButtonElement | null>
  /** By their labels. */
  items: Record<string, () => void>
}

const MARGIN_PX = 8

/** A button with a menu. The browser closes it on Escape and on a click beside it. */
export function MessageMenu({ label, button, items }: Props) {
  const id = useId()
  const menu = useRef<HTMLDivElement>(null)
  const [open, setOpen] = useState(false)

  useLayoutEffect(() => {
    if (!open) return
    const place = () => {
      const { style, offsetWidth, offsetHeight } = menu.current!
      const { top, bottom, right } = button.current!.getBoundingClientRect()
      const below = bottom + offsetHeight + MARGIN_PX <= innerHeight
      style.top = `${below ? bottom : top - offsetHeight}px`
      style.left = `${Math.max(MARGIN_PX, right - offsetWidth)}px`
    }
    place()
    document.addEventListener('scroll', place, { capture: true, passive: true })
    addEventListener('resize', place)
    return () => {
      document.removeEventListener('scroll', place, { capture: true })
      removeEventListener('resize', place)
    }
  }, [open, button])
  useEffect(() => {
    if (open) menu.current!.querySelector('button')!.focus()
  }, [open])

  const keyDown = (event: KeyboardEvent) => {
    const buttons = [...menu.current!.querySelectorAll('button')]
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement)
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key]
    if (event.key === 'Tab') menu.current!.hidePopover()
    if (next === undefined) return
    event.preventDefault()
    buttons.at(next % buttons.length)!.focus()
  }
  const choose = (act: () => void) => {
    menu.current!.hidePopover()
    act()
  }

  return (
    <>
      <button
        type="button" className="more" ref={button} aria-label={label} aria-haspopup="menu" aria-expanded={open} popoverTarget={id}
      ><span aria-hidden="true">⋯</span></button>
      <div
        id={id} ref={menu} popover="auto" role="menu" className="menu" aria-label={label}
        onToggle={(event) => setOpen(event.newState === 'open')} onKeyDown={keyDown}
      >
        {open && Object.entries(items).map(([name, act]) => (
          <button key={name} type="button" role="menuitem" tabIndex={-1} onClick={() => choose(act)}>{name}</button>
        ))}
      </div>
    </>
  )
}
