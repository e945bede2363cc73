"""Runs the notebooks from top to bottom and stores their outputs: python notebooks/execute.py

They run in this folder, where a finished run in results/ is used again. Badge and installing cell
follow [project.urls] of pyproject.toml: they are absent as long as it names no repository.
"""

from __future__ import annotations

import argparse
import base64
import copy
import io
import json
import os
import pathlib
import re
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # finds pgtf in this checkout

from pgtf.commands.command_line import missing_packages_reported, one_line_errors
from pgtf.commands.parsers import Parser

with missing_packages_reported():
    import PIL.Image

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
COLORS = 256  # of stored pictures


def repository(pyproject: str) -> str | None:
    """Reads the address of the repository from the text of pyproject.toml; None if it has none."""
    _, _, urls = pyproject.partition("\n[project.urls]\n")
    match = re.search(r'^Repository\s*=\s*"([^"]+?)/?"', urls.partition("\n[")[0], re.MULTILINE)
    return match[1].removesuffix(".git") if match else None


def with_links(notebook: Any, name: str, address: str | None) -> Any:
    """Returns a copy with the badge and the installing cell of an address, None = without them.

    Args:
        notebook: content of its file.
        name: name of its file.
        address: address of the repository; the badge is for GitHub only.
    """
    found = copy.deepcopy(notebook)
    found["cells"] = [cell for cell in found["cells"] if LINKS not in _tags(cell)]
    if address is None:
        return found
    added = []
    if match := re.fullmatch(r"https://github\.com/([^/]+/[^/]+)", address):
        target = f"{COLAB}/{match[1]}/blob/HEAD/notebooks/{name}"
        badge = f"[![Open in Colab]({BADGE})]({target})"
        added.append({"cell_type": "markdown", "id": "badge", "source": badge})
    install = {"cell_type": "code", "id": "install", "source": INSTALL + address}
    added.append(install | {"execution_count": None, "outputs": []})
    found["cells"][1:1] = [cell | {"metadata": {"tags": [LINKS]}} for cell in added]
    return found  # The title stays first.


def with_kimg(notebook: Any, kimg: float) -> Any:
    """Returns a copy that trains for another number of thousands of images."""
    found = copy.deepcopy(notebook)
    cell = next(cell for cell in found["cells"] if "parameters" in _tags(cell))
    source = "".join(cell["source"])  # Files hold lists of lines.
    cell["source"], count = re.subn(r"^KIMG = [\d.]+", f"KIMG = {kimg:g}", source, flags=re.M)
    if count != 1:
        raise ValueError("the cell `parameters` must set KIMG once.")
    return found


def _tags(cell: Any) -> list[str]:
    tags: list[str] = cell["metadata"].get("tags", [])
    return tags


def execute(content: Any, folder: pathlib.Path) -> Any:
    """Runs all cells in a folder, with this checkout's package. Returns cells and outputs.

    Args:
        content: content of a notebook's file.
        folder: working directory of the cells.

    Raises:
        CellExecutionError: if a cell fails.
    """
    import nbclient
    import nbformat

    notebook = nbformat.reads(json.dumps(content), 4)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    where = {"metadata": {"path": str(folder)}}
    options = {"timeout": TIMEOUT_SEC, "record_timing": False}
    client = nbclient.NotebookClient(notebook, resources=where, **options)
    client.execute(env=environment)
    for cell in notebook.cells:
        if "outputs" in cell:  # without what TensorFlow's libraries say about the machine
            cell.outputs = [x for x in cell.outputs if x.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            _make_small(output.get("data", {}))
            if "text" in output:  # without where the checkout lies
                output["text"] = output["text"].replace(f"{folder.resolve()}{os.sep}", "")
    notebook.metadata.pop("language_info", None)
    return notebook


def _make_small(data: dict[str, Any]) -> None:
    """Keeps of a displayed picture one PNG file with 256 colours, a quarter of the bytes."""
    data.pop("image/jpeg", None)
    if "image/png" in data:
        picture = PIL.Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
        if picture.mode == "RGB":
            picture = picture.quantize(COLORS)
        small = io.BytesIO()
        picture.save(small, "PNG", optimize=True)
        data["image/png"] = base64.b64encode(small.getvalue()).decode()


def main(argv: list[str]) -> None:
    """Runs the notebooks that the arguments name; all without arguments."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=pathlib.Path, help="(default: all)")
    text = "folder in which results/ and datasets/ lie (default: that of the notebooks)"
    parser.add_argument("--folder", type=pathlib.Path, default=HERE, help=text)
    args = parser.parse_args(argv)
    address = repository((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    with one_line_errors():
        if not args.folder.is_dir():
            raise FileNotFoundError(f"{args.folder}: no such folder.")
        paths = args.notebooks or sorted(HERE.glob("*.ipynb"))
        contents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    with missing_packages_reported():
        import nbclient  # noqa: F401
        import nbformat
    for path, content in zip(paths, contents, strict=True):
        executed = execute(with_links(content, path.name, address), args.folder)
        nbformat.write(executed, path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
