"""Installs the package with pip into a new environment, and uses it from another folder.

    python tests/bare_install.py

Trains the demo for a few thousand images, makes a grid, and runs a short script with the Python
interface. Prints how long each step takes; exit code 1 if one fails. `make test-install` runs it.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
KIMG = 4
SCRIPT = """
import pgtf

net = pgtf.load("results/000-demo-demo")
print(net)
images = net.generate(seeds=range(4))
assert images.shape[0] == 4 and images.dtype == "uint8", (images.shape, images.dtype)
assert (images == net.generate(seeds=range(4))).all()
a, b = net.latents([1, 2])
path = net.interpolate(a, b, 5)
assert path.shape == (5, len(a))
net.show(images).save("four.png")
print(pgtf.__version__, sorted(pgtf.presets())[:3])
"""


def main(source: str) -> int:
    """Runs all steps. Returns the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "work").mkdir()
        (folder / "script.py").write_text(SCRIPT)
        python, pgtf = (str(folder / "environment" / "bin" / x) for x in ("python", "pgtf"))
        pip = (python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-q")
        constraints = str(ROOT / "constraints.txt")
        steps = {
            "new environment": (sys.executable, "-m", "venv", str(folder / "environment")),
            "pip install": (*pip, "-c", constraints, source),
            "pgtf --version": (pgtf, "--version"),
            "pgtf train --help": (pgtf, "train", "--help"),
            f"pgtf train, {KIMG} kimg": (pgtf, "train", f"--total_kimg={KIMG}"),
            "pgtf generate grid": (pgtf, "generate", "grid", "--out=grid.png"),
            "script": (python, str(folder / "script.py")),
        }
        for title, command in steps.items():
            if not _run(title, command, folder / "work"):
                return 1
        left = [path for path in ("grid.png", "four.png") if not (folder / "work" / path).exists()]
        print(f"missing: {', '.join(left)}" if left else "all files are there")
        return int(bool(left))


def _run(title: str, command: tuple[str, ...], folder: pathlib.Path) -> bool:
    """Runs a step, prints its time, and what it said if it failed. Returns True if it did not."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    start = time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(f"{time.monotonic() - start:7.1f} s  {title}", flush=True)
    if done.returncode:
        print(f"exit code {done.returncode}: {' '.join(command)}\n{done.stdout}")
    return done.returncode == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    text = "what pip installs: a checkout, git+file:///..., or an address (default: this checkout)"
    parser.add_argument("source", nargs="?", default=str(ROOT), help=text)
    sys.exit(main(parser.parse_args().source))
