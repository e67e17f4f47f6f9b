"""`python -m bench`: every measurement that takes minutes, one after the other."""

from __future__ import annotations

import subprocess
import sys

from bench.quality import WIKIPEDIA_FILE


def main() -> int:
    """Run them; the first that fails ends it."""
    commands = [["bench.quality", "scenes"], ["bench.attention"], ["bench.supervision", "scenes"]]
    if WIKIPEDIA_FILE.exists():
        commands += [["bench.quality", "wikipedia"], ["bench.supervision", "wikipedia"]]
    else:
        print(f"Skipped: the Wikipedia figures, since {WIKIPEDIA_FILE} is not there.")
    for command in commands:
        print("python -m", *command, flush=True)
        if code := subprocess.run([sys.executable, "-m", *command], check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
