"""Writes the table of docs/fidelity.md: how far this program is from the original release.

    PGTF_REFERENCE=... python -m tests.reference.fidelity     # some minutes on two cores

It runs the tests of this folder and keeps every difference that they check. The page is left as it
is when one of them fails.
"""

import datetime
import platform
import re
import sys
from pathlib import Path

import numpy as np

from pgtf import lazy
from pgtf.commands.parsers import Parser

# The command line does without them.
cases = lazy.Module("tests.reference.cases")
keras = lazy.Module("keras")
pytest = lazy.Module("pytest")
tf = lazy.Module("tensorflow")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fidelity.md"
SOURCES = ("pgtf", "metrics", "train.py", "generate.py", "dataset_tool.py")
DEVIATION = re.compile(r"Deviation: ((?:.|\n\s*#?)+?)(?=\"\"\"|\n\s*\n|\n\s*[^\s#])")


def table(differences):
    """Markdown: a row for each quantity, with the case that came nearest to what is allowed."""
    lines = ["| quantity | values | largest difference | allowed there | where |"]
    lines.append("| --- | ---: | ---: | ---: | --- |")
    for what in dict.fromkeys(d.what for d in differences):
        group = [d for d in differences if d.what == what]
        worst = max(group, key=lambda d: (d.value / (d.tolerance or 1), d.value))
        numbers = f"{len(group)} | {worst.value:.1e} | {worst.tolerance:.1e}"
        lines.append(f"| {what} | {numbers} | {worst.where} |")
    return "\n".join(lines)


def stamp():
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (
        f"Measured {datetime.date.today()} with Python {platform.python_version()}, TensorFlow "
        f"{tf.__version__}, Keras {keras.__version__}, NumPy {np.__version__} on "
        f"{processor[1] if processor else platform.machine()}."
    )


def deviations():
    """Markdown: what the comments and docstrings of the program mark as deviations, by file."""
    lines = []
    for source in SOURCES:
        path = ROOT / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for match in DEVIATION.finditer(file.read_text()):
                text = " ".join(re.sub(r"\n\s*#?", " ", match[1]).split())
                lines.append(f"- {text} (`{file.relative_to(ROOT)}`)")
    return "\n".join(lines)


def replaced(page, name, text):
    """The page with other text between the two marks of a part."""
    pattern = rf"(<!-- {name}: .*? -->\n).*?(<!-- {name}: end -->)"
    page, count = re.subn(pattern, lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{PAGE}: one part named {name} expected. Received: {count}.")
    return page


def main():
    parser = Parser(description=__doc__.partition("\n")[0])
    text = "deviations: write the list of deviations only (default: the table too)"
    parser.add_argument("part", nargs="?", choices=["deviations"], help=text)
    part = parser.parse_args().part
    page = replaced(PAGE.read_text(), "deviations", deviations())
    if part is None:
        failed = pytest.main([str(Path(__file__).parent)])
        if failed:
            return int(failed)
        page = replaced(page, "table", f"{stamp()}\n\n{table(cases.checked)}")
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
