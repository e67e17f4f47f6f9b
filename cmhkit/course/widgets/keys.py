"""Keys that stay with a control.

In command mode JupyterLab takes arrows and letters away from a focused dropdown, slider or button ("d d" deletes the
cell). It leaves them alone where the focused element itself has an attribute that ipywidgets cannot set. Text boxes
need no help. Where a page forbids inline handlers, nothing happens.
"""

from __future__ import annotations

#: The class of the box whose controls keep their keys.
KEEPER = "cmh-widget"
_HANDLER = (
    f"this.closest('.{KEEPER}')?.addEventListener('focusin', event => "
    "event.target.matches(':read-write') || event.target.setAttribute('data-lm-suppress-shortcuts', 'true'))"
)


def keys_stay(style: str = "<style></style>") -> str:
    """A style element that, once in a box of the class `KEEPER`, lets that box's controls keep their keys. style:
    begins with `<style>`.
    """
    return style.replace("<style>", f'<style onload="{_HANDLER}">', 1)
