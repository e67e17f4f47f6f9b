"""What a method's training needs of the call to fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Called at the end of every epoch with the epoch's row of the history and the hasher, which can encode as it stands.
Callback = Callable[[dict[str, Any], Any], None]


class Run:
    """What a schedule needs of the call to fit: where checkpoints are, whom to call, and whether to show progress."""

    def __init__(
        self, hasher: Any, checkpoint_dir: str | Path | None, callback: Callback | None, show_progress: bool
    ) -> None:
        self.hasher, self.checkpoint_dir = hasher, checkpoint_dir
        self.callback, self.show_progress = callback, show_progress
        # The hasher before this fit. What a fit trains is new, so that the old networks are whole until they are let
        # go.
        self._before: dict[str, Any] | None = dict(vars(hasher))

    def begin(self) -> None:
        """Say that training begins: there is no way back to what the hasher was, and nothing of it stays in memory."""
        self._before = None

    def undo(self) -> None:
        """Make the hasher what it was, if training has not begun."""
        if self._before is not None:
            vars(self.hasher).clear()
            vars(self.hasher).update(self._before)

    def epoch_done(self, row: dict[str, Any]) -> None:
        """Add a row to the history and call the callback; the hasher can encode meanwhile."""
        self.hasher.history_.append(row)
        if self.callback is not None:
            self.hasher._stage = "in callback"
            try:
                self.callback(row, self.hasher)
            finally:
                self.hasher._stage = "fitting"
