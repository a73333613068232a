"""What a browser does by itself on the page, as HTML with a script: nothing from outside is in it."""

from __future__ import annotations

__all__ = ["copy_script", "focus_script", "listing_script", "watch_question"]


def focus_script(label: str) -> str:
    """Put the cursor into the box `label`, where there is a mouse: a phone's keyboard would jump up.

    The box may be drawn after this runs, hence the second looks.
    """
    return (
        "<script>(function seek(looks) {"
        f" const box = document.querySelector('input[aria-label=\"{label}\"]');"
        " if (box && looks) box.focus({preventScroll: true});"
        " else if (looks) setTimeout(seek, 50, looks - 1);"
        " })(matchMedia('(pointer: fine)').matches ? 40 : 0);</script>"
    )


def watch_question(label: str) -> str:
    """Hide the answers from the moment something else is asked until they are its own: a new question in the
    box `label`, another mode, filter or collection.

    They say themselves what they answer, in `data-asked`, and which answer they are, and are whole when the
    server has ended; the page is watched only as long as that takes.
    """
    choices = ", ".join(
        (
            '.st-key-controls [data-testid="stButtonGroup"] button',
            '.st-key-controls [data-testid="stCheckbox"] label',
            '[role="option"]',
        )
    )
    return (
        "<script>(function () {"
        " if (window.stlibWatches) return; window.stlibWatches = true;"
        " const asked = () => document.querySelector('[data-asked]');"
        f" const isBox = (e) => e.target.getAttribute?.('aria-label') === '{label}';"
        " const cover = (waits) => {"
        "  const body = document.body; body.classList.add('st-asking'); let ran = false;"
        "  const watcher = new MutationObserver((changes) => {"
        "   const running = document.querySelector('.stApp')?.dataset.testScriptState === 'running';"
        "   ran = ran || running || changes.some((one) => one.oldValue === 'running');"
        "   if (running || waits(ran)) return;"
        "   watcher.disconnect(); body.classList.remove('st-asking'); });"
        "  watcher.observe(body, {subtree: true, childList: true, attributeOldValue: true,"
        " attributeFilter: ['data-asked', 'data-answer', 'data-test-script-state']}); };"
        " const look = (box) => {"
        "  const isOther = () => asked() && asked().dataset.asked !== box.value.trim() && box.isConnected;"
        "  if (isOther()) cover(isOther); };"
        " document.addEventListener('keydown', (e) => e.key === 'Enter' && isBox(e) && look(e.target), true);"
        " document.addEventListener('focusout', (e) => isBox(e) && look(e.target), true);"
        " document.addEventListener('click', (e) => {"
        f"  if (!asked() || !e.target.closest?.('{choices}')) return;"
        "  const before = asked().dataset.answer;"
        "  cover((ran) => !ran && asked()?.dataset.answer === before); }, true);"
        " })();</script>"
    )


def copy_script() -> str:
    """What the buttons that copy a path do: by a selection where a browser keeps its clipboard to itself."""
    return (
        "<script>(function () {"
        " if (window.stlibCopies) return; window.stlibCopies = true;"
        " const byHand = (text) => { const box = document.createElement('textarea'); box.value = text;"
        "  document.body.append(box); box.select(); document.execCommand('copy'); box.remove(); };"
        " document.addEventListener('click', async (event) => {"
        "  const button = event.target.closest?.('[data-copy]'); if (!button) return;"
        "  try { await navigator.clipboard.writeText(button.dataset.copy); }"
        "  catch { byHand(button.dataset.copy); }"
        "  button.textContent = 'Copied'; setTimeout(() => { button.textContent = 'Copy path'; }, 1500);"
        " }); })();</script>"
    )


def listing_script() -> str:
    """Bring the first marked line into the middle of its box, which may be drawn after this runs."""
    return (
        "<script>(function seek(looks) {"
        " const line = document.querySelector('.st-listing [data-marked]');"
        " if (line) line.parentElement.scrollTop = line.offsetTop - line.parentElement.clientHeight / 3;"
        " else if (looks) setTimeout(seek, 50, looks - 1);"
        " })(20);</script>"
    )
