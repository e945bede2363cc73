"""Runs the notebooks from top to bottom and stores their outputs: python notebooks/execute.py

They run in this folder, where a finished run in results/ is used again. Badge and installing cell
follow [project.urls] of pyproject.toml: they are absent as long as it names no repository.
"""

from __future__ import annotations

import argparse
import copy
import os
import pathlib
import re
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github"
INSTALL = """\
import importlib.util

if importlib.util.find_spec("pgtf") is None:
    %pip install -q git+"""
LINKS = "links"  # tag of the cells that follow the repository's address
TIMEOUT_SEC = 4 * 3600


def repository(pyproject: str) -> str | None:
    """Reads the address of the repository from the text of pyproject.toml; None if it has none."""
    _, _, urls = pyproject.partition("\n[project.urls]\n")
    match = re.search(r'^Repository\s*=\s*"([^"]+?)/?"', urls.partition("\n[")[0], re.MULTILINE)
    return match[1].removesuffix(".git") if match else None


def with_links(notebook: Any, name: str, address: str | None) -> Any:
    """Returns a copy with the badge and the installing cell of an address, None = without them.

    Args:
        notebook: as nbformat reads it.
        name: name of its file.
        address: address of the repository; the badge is for GitHub only.
    """
    import nbformat

    found = copy.deepcopy(notebook)
    found.cells = [cell for cell in found.cells if LINKS not in cell.metadata.get("tags", [])]
    if address is None:
        return found
    cells = [nbformat.v4.new_code_cell(INSTALL + address, id="install")]
    if match := re.fullmatch(r"https://github\.com/([^/]+/[^/]+)", address):
        target = f"{COLAB}/{match[1]}/blob/HEAD/notebooks/{name}"
        badge = f"[![Open in Colab]({BADGE})]({target})"
        cells.insert(0, nbformat.v4.new_markdown_cell(badge, id="badge"))
    for cell in cells:
        cell.metadata["tags"] = [LINKS]
    found.cells[1:1] = cells  # below the title
    return found


def with_kimg(notebook: Any, kimg: float) -> Any:
    """Returns a copy that trains for another number of thousands of images."""
    found = copy.deepcopy(notebook)
    cell = next(cell for cell in found.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source, count = re.subn(r"^KIMG = [\d.]+", f"KIMG = {kimg:g}", cell.source, flags=re.M)
    if count != 1:
        raise ValueError("the cell `parameters` must set KIMG once.")
    return found


def execute(notebook: Any, folder: pathlib.Path) -> None:
    """Runs all cells in a folder, with this checkout's package, and stores their outputs.

    Raises:
        CellExecutionError: if a cell fails.
    """
    import nbclient

    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    where = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, TIMEOUT_SEC, resources=where, record_timing=False)
    client.execute(env=environment)
    for cell in notebook.cells:
        if "outputs" in cell:  # without what TensorFlow's libraries say about the machine
            cell.outputs = [x for x in cell.outputs if x.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)


def main(argv: list[str]) -> None:
    """Runs the notebooks that the arguments name; all without arguments."""
    import nbformat

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=pathlib.Path, help="(default: all)")
    text = "folder in which results/ and datasets/ lie (default: that of the notebooks)"
    parser.add_argument("--folder", type=pathlib.Path, default=HERE, help=text)
    args = parser.parse_args(argv)
    address = repository((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for path in args.notebooks or sorted(HERE.glob("*.ipynb")):
        notebook = with_links(nbformat.read(path, 4), path.name, address)
        execute(notebook, args.folder)
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
