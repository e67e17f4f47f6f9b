"""Make `.venv` and install the kit into it: the set-up step of every Makefile target. Standard library only.

    python3 tools/setup_venv.py lab test faiss        # the extras of pyproject.toml that are wanted

- The environment is trusted only when its stamp says so. The stamp is written last and holds a fingerprint of
  pyproject.toml, constraints.txt, this file, the interpreter and the folder: a second run that finds it ends at once.
- An install that was killed leaves the mark `.installing` behind. The next run removes that environment and starts
  again.
- PyTorch: on Linux without an NVIDIA driver the CPU build is chosen, since PyPI's own build brings several gigabytes of
  CUDA along.
  A CPU wheel that pip finds by its own settings (`find-links`) comes first; then PyTorch's index of CPU wheels, if it
  answers within five seconds; else pip decides. `TORCH_INDEX=<address>` names another index, `TORCH_INDEX=none`
  switches this off.
- Where uv is at hand it installs, in a fraction of pip's time. It does not read pip's settings, so it is told where
  wheels lie (`find-links`), and that torch must be the CPU build where that is what is wanted. Whatever it cannot do,
  pip does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = 3.0
PYTHON = getattr(
    sys, "_base_executable", sys.executable
)  # not an activated environment's, which may be the one to be replaced


class SetupError(Exception):
    """A set-up step that cannot go on; the message says what to do."""


def fingerprint(root: Path) -> str:
    """All that an environment depends on, as one hash: the two lists, this file, the interpreter and the folder."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
    digest.update(Path(__file__).read_bytes())
    digest.update(f"{sys.version}\0{home(root)}".encode())
    return digest.hexdigest()


def home(root: Path) -> str:
    """The Python and the folder that an environment belongs to: it cannot be moved to another of either."""
    return f"{sys.base_prefix} {root}"


def read_stamp(venv: Path) -> dict[str, object]:
    """The stamp of a finished environment, or {} where there is none that can be trusted."""
    if (venv / ".installing").exists() or not (venv / "bin" / "python").exists():
        return {}
    try:
        stamp = json.loads((venv / ".installed.json").read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and isinstance(stamp.get("extras"), list) else {}


def is_ready(venv: Path, mark: str, extras: list[str]) -> bool:
    """Whether the environment was finished for this fingerprint with these extras."""
    stamp = read_stamp(venv)
    return stamp.get("fingerprint") == mark and set(extras) <= set(stamp["extras"])  # type: ignore[arg-type]


def check_machine(root: Path) -> None:
    """Refuse with one clear message a Python that is too old, has no venv, or a disk that is full."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(
            f"cmhkit needs Python 3.11 or newer, but {PYTHON} is Python {platform.python_version()}. "
            "Install a newer one and name it: make lab PYTHON=python3.12"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupError(
            f"{PYTHON} has no venv module. On Debian and Ubuntu: sudo apt-get install python3-venv. Then run make "
            "again."
        ) from None
    free = shutil.disk_usage(root).free / 1e9
    if free < NEEDED_GB:
        raise SetupError(
            f"{root} has {free:.1f} GB free, but the environment needs {NEEDED_GB:.0f} GB. Free some space and run "
            "make again."
        )


def torch_arguments(pip: list[str], requirement: str) -> list[str]:
    """What to tell pip so that a machine without an NVIDIA driver gets PyTorch's CPU build; [] leaves it to pip."""
    wish = os.environ.get("TORCH_INDEX", "")
    if wish == "none" or (not wish and not wants_cpu_build()):
        return []
    if wish:
        return ["--extra-index-url", wish]
    local = [
        *pip,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--dry-run",
        "--ignore-installed",
        f"{requirement}+cpu",
    ]
    if subprocess.run(local, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        return []  # pip finds the CPU wheel by its own settings, and ranks it above PyPI's
    try:
        with urllib.request.urlopen(f"{TORCH_INDEX}/torch/", timeout=5):
            return ["--extra-index-url", TORCH_INDEX]
    except OSError:
        print(
            (
                f"set-up: {TORCH_INDEX} does not answer, so pip takes PyTorch from its own sources (PyPI's build for "
                "Linux is several GB)."
            ),
            flush=True,
        )
        return []


def wants_cpu_build() -> bool:
    """Whether PyTorch's CPU build is looked for: on Linux without an NVIDIA driver, unless TORCH_INDEX decides."""
    return not os.environ.get("TORCH_INDEX") and platform.system() == "Linux" and not shutil.which("nvidia-smi")


def torch_requirement(root: Path) -> str:
    """The line of constraints.txt that pins torch."""
    for line in (root / "constraints.txt").read_text().splitlines():
        if line.startswith("torch=="):
            return line.split("#")[0].strip()
    raise SetupError("constraints.txt does not pin torch: it needs a line such as torch==2.13.0")


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Let a second `make` wait while a first one installs, where the file system can lock."""
    with contextlib.ExitStack() as stack:
        try:
            import fcntl

            handle = stack.enter_context(open(root / "pyproject.toml", "r+b"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("set-up: another make is installing; waiting for it.", flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
        except (ImportError, OSError):
            pass
        yield


def install(root: Path, venv: Path, extras: list[str]) -> None:
    """Bring `venv` to the state of constraints.txt with the kit (editable) and its extras; the stamp comes last."""
    stamp = read_stamp(venv)
    if venv.exists() and (venv / ".installing").exists():
        print(f"set-up: an earlier install into {venv.name} did not finish; starting again.", flush=True)
        shutil.rmtree(venv)
    if stamp and stamp.get("home") != home(root):
        print(f"set-up: {venv.name} belongs to another Python or folder; starting again.", flush=True)
        shutil.rmtree(venv)
        stamp = {}
    wanted = sorted({*extras, *stamp.get("extras", [])})  # type: ignore[misc]
    venv.mkdir(exist_ok=True)
    (venv / ".installing").touch()
    (venv / ".installed.json").unlink(missing_ok=True)
    python = str(venv / "bin" / "python")
    if not (venv / "bin" / "pip").exists():
        print(f"set-up: making {venv.name} with {PYTHON} (Python {platform.python_version()})", flush=True)
        run(
            [PYTHON, "-m", "venv", str(venv)],
            "Python could not make the environment. On Debian and Ubuntu: sudo apt-get install python3-venv",
        )
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    arguments = torch_arguments(pip, torch_requirement(root))
    print(
        f"set-up: installing cmhkit[{','.join(wanted)}] into {venv.name}; the first time takes a few minutes",
        flush=True,
    )
    target = f"{root}[{','.join(wanted)}]"
    if not installed_by_uv(pip, python, root, target, arguments):
        install_by_pip(pip, root, target, arguments)
    done = {"fingerprint": fingerprint(root), "extras": wanted, "home": home(root)}
    part = venv / ".installed.json.part"
    part.write_text(json.dumps(done))
    part.replace(venv / ".installed.json")
    (venv / ".installing").unlink()


def install_by_pip(pip: list[str], root: Path, target: str, arguments: list[str]) -> None:
    """Install the kit with pip, and see that the packages fit together."""
    words = [] if sys.stdout.isatty() else ["-qq"]  # progress bars for a person; in a log, errors only
    # --no-compile halves the seconds: Python compiles what is used when it is first imported, a small part of what is
    # installed.
    run(
        [
            *pip,
            "install",
            *words,
            "--no-compile",
            "--no-warn-script-location",
            *arguments,
            "-c",
            str(root / "constraints.txt"),
            "-e",
            target,
        ],
        (
            "pip could not install the kit; its own message stands above. Check the network and run make again: what "
            "was fetched is kept."
        ),
    )
    run([*pip, "check"], "the installed packages do not fit together; pip's message stands above", quiet=True)


def installed_by_uv(pip: list[str], python: str, root: Path, target: str, arguments: list[str]) -> bool:
    """Install the kit with uv. Returns False where there is no uv, or it fails: then nothing that pip needs is spoilt.

    arguments: as `torch_arguments` gives them.
    """
    uv = shutil.which("uv")
    if uv is None:
        return False
    settings = pip_settings(pip)
    command = [uv, "pip", "install", "--python", python, "--index-strategy", "unsafe-best-match", *arguments]
    command += [] if sys.stdout.isatty() else ["--quiet"]
    for place in settings.get("find-links", "").split():
        command += ["--find-links", place]
    if "index-url" in settings:
        command += ["--default-index", settings["index-url"]]
    environment = dict(os.environ)
    if "cert" in settings:
        environment.setdefault("SSL_CERT_FILE", settings["cert"])
    constraints = str(root / "constraints.txt")
    command += ["--constraints", constraints, "--build-constraints", constraints]
    with tempfile.TemporaryDirectory() as folder:
        if wants_cpu_build():  # a version without +cpu would let uv take PyPI's build, with its gigabytes of CUDA
            (Path(folder) / "torch.txt").write_text(f"{torch_requirement(root)}+cpu\n")
            command += ["--constraints", str(Path(folder) / "torch.txt")]
        words = None if sys.stdout.isatty() else subprocess.DEVNULL
        try:
            for step in ([*command, "-e", target], [uv, "pip", "check", "--quiet", "--python", python]):
                subprocess.run(step, env=environment, stderr=words, check=True)
        except (OSError, subprocess.CalledProcessError):
            print("set-up: uv could not install the kit, so pip does.", flush=True)
            return False
    return True


def pip_settings(pip: list[str]) -> dict[str, str]:
    """What pip's files and variables say, by the option's name; a variable goes before a file."""
    result = subprocess.run([*pip, "config", "list"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    settings: dict[str, str] = {}
    for line in result.stdout.splitlines():
        place, _, value = line.partition("=")
        section, _, name = place.rpartition(".")
        if section in (":env:", "global", "install") and (section == ":env:" or name not in settings):
            settings[name] = value.strip("'\"")
    return settings


def run(command: list[str], failure: str, quiet: bool = False) -> None:
    """Run a step; where it fails, show its words and raise SetupError with ours."""
    result = subprocess.run(
        command, text=True, stdout=subprocess.PIPE if quiet else None, stderr=subprocess.STDOUT if quiet else None
    )
    if result.returncode != 0:
        if quiet:
            print(result.stdout)
        raise SetupError(failure)


def main(arguments: list[str]) -> int:
    """Set `.venv` (or $VENV) up with the extras named; 0 when it is ready."""
    venv = ROOT / os.environ.get("VENV", ".venv")
    extras = sorted(set(arguments) or {"lab"})
    try:
        check_machine(ROOT) if not is_ready(venv, fingerprint(ROOT), extras) else None
        with only_one(ROOT):
            if not is_ready(venv, fingerprint(ROOT), extras):
                install(ROOT, venv, extras)
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up: stopped; the next run starts again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
