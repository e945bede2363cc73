"""This installation: its commands as a user types them, and what to do if packages are missing.

In a checkout the commands are scripts, python train.py; where the package is installed, pgtf train.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # of a checkout
SCRIPTS = {
    "train": "train.py",
    "dataset": "dataset_tool.py",
    "generate": "generate.py",
    "metrics": "-m metrics",
}
# Packages that running needs, by the module that is imported: pyproject.toml and requirements.txt.
PACKAGES = {
    "absl": "absl-py",
    "h5py": "h5py",
    "numpy": "numpy",
    "PIL": "pillow",
    "scipy": "scipy",
    "tqdm": "tqdm",
}
WITH_TENSORFLOW = {"tensorflow": "tensorflow", "keras": "keras"}
# All of them. Training alone needs tensorboard, create_celebahq cryptography, and Pillow can do the
# work of the other two.
REQUIRED = {*PACKAGES.values(), *WITH_TENSORFLOW.values()} | {
    *("tensorboard", "cryptography", "kornia_rs", "simplejpeg")
}
# Others whose module has another name.
OPTIONAL = {"cv2": "opencv-python-headless", "skimage": "scikit-image", "sklearn": "scikit-learn"}
_SPELLED = re.compile(r"(?:python )?\b(train|dataset_tool|generate)\.py\b|python -m (metrics)\b")


def is_checkout() -> bool:
    """True if the package lies beside its scripts."""
    return os.path.isfile(os.path.join(ROOT, SCRIPTS["train"]))


def front() -> str:
    """Returns the program typed before a command's name; "" where the commands are scripts."""
    program = sys.argv[0] if sys.argv else ""
    folder, name = os.path.split(program)
    if name.removesuffix(".exe") == "pgtf":
        return "pgtf"
    if name == "__main__.py" and os.path.basename(folder) == "pgtf":
        return "python -m pgtf"
    return "" if is_checkout() else "pgtf"


def command(name: str) -> str:
    """Returns a command as users of this process type it: "python train.py" or "pgtf train".

    Args:
        name: one of SCRIPTS.
    """
    program = front()
    return f"{program} {name}" if program else f"python {SCRIPTS[name]}"


def spelled(text: str) -> str:
    """Replaces the scripts that a text names by the commands that users of this process type."""
    if not front():
        return text
    return _SPELLED.sub(lambda match: command(_NAMES[match[1] or match[2]]), text)


def words_typed(interpreter: str | None = None) -> list[str]:
    """Returns the command line of this process, without Python's own options.

    Args:
        interpreter: written before a script; None = the script's name alone.
    """
    program, *arguments = sys.argv
    if front() == "pgtf":
        found = shutil.which("pgtf")
        is_found = found is not None and os.path.realpath(found) == os.path.realpath(program)
        return ["pgtf" if is_found else program, *arguments]
    if front() and os.path.basename(program) == "__main__.py":
        return [interpreter or "python", "-m", "pgtf", *arguments]
    if interpreter:
        return [interpreter, program, *arguments]
    return [os.path.basename(program), *arguments]


def missing(modules: Iterable[str]) -> list[str]:
    """Returns those of some modules that cannot be imported here."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def missing_message(packages: Sequence[str], module: str | None = None) -> str:
    """Names packages that are missing here, or the module that is, and tells how to get them."""
    return f"missing Python packages: {module or ', '.join(packages)}. {_remedy(packages)}"


def _remedy(packages: Sequence[str]) -> str:
    if not is_checkout() or REQUIRED.isdisjoint(packages):
        return _pip(shlex.join(packages))
    at_root = os.path.realpath(os.getcwd()) == os.path.realpath(ROOT)
    folder = "" if at_root else os.path.join(ROOT, "")
    file = shlex.quote(f"{folder}requirements.txt")
    environment = os.path.join(ROOT, ".venv")
    # The names of all environments that make creates begin with .venv.
    is_inside = os.path.realpath(sys.prefix).startswith(os.path.realpath(environment))
    if is_inside or not os.path.exists(os.path.join(environment, "bin", "python")):
        return _pip(f"-r {file}")
    activate = shlex.quote(f"{folder}.venv/bin/activate")
    python = shlex.quote(f"{folder}.venv/bin/python")
    return (
        f"The environment that make created is not active: source {activate}, or type {python} "
        f"for python. To use this one instead: python -m pip install -r {file}"
    )


def _pip(arguments: str) -> str:
    return f"Install what is needed: python -m pip install {arguments}"


_NAMES = {script.removesuffix(".py").split()[-1]: name for name, script in SCRIPTS.items()}
