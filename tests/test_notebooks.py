"""The notebooks: what is stored in them, and that they run from top to bottom."""

import ast
import base64
import io
import json
import re
import runpy
from pathlib import Path

import PIL.Image
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
MAX_BYTES = 300_000
execute = runpy.run_path(str(FOLDER / "execute.py"), run_name="execute")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_there_are_two_notebooks_and_the_page_lists_them():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(PATHS) == 2
    assert all(f"]({path.name})" in page for path in PATHS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_as_it_ran_from_top_to_bottom_with_small_pictures(path):
    cells = code_cells(read(path))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {
        "display_data",
        "execute_result",
        "stream",
    }
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    texts = "\n".join("".join(output.get("text", "")) for output in outputs)
    assert re.findall(r"(?<![\w.:/])/\w+/\S*|INFO:.*", texts) == []  # where and with what it ran
    pictures = [x["data"]["image/png"] for x in outputs if "image/png" in x.get("data", {})]
    sizes = [PIL.Image.open(io.BytesIO(base64.b64decode(picture))).size for picture in pictures]
    assert len(sizes) >= 5
    assert all(width >= 256 for width, _ in sizes)
    assert path.stat().st_size < MAX_BYTES


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_one_cell_sets_the_length_of_training(path):
    notebook = read(path)
    shortened = execute["with_kimg"](notebook, 0.25)
    changed = [
        "".join(after["source"])
        for before, after in zip(notebook["cells"], shortened["cells"], strict=True)
        if before["source"] != after["source"]
    ]
    assert len(changed) == 1
    assert changed[0].startswith("KIMG = 0.25  # thousands of images")
    code = ["".join(cell["source"]) for cell in code_cells(notebook)]
    assert sum("total_kimg=KIMG" in text for text in code) == 1


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_link_of_a_notebook_leads_somewhere(path):
    texts = ["".join(cell["source"]) for cell in read(path)["cells"]]
    targets = re.findall(r"\]\(([^)\s]+)\)", "\n".join(texts))
    local = [target for target in targets if "://" not in target]
    assert local
    assert all((FOLDER / target).exists() for target in local)


ADDRESS = "https://github.com/someone/pgtf"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ('[project]\nname = "pgtf"\n', None),
        ('[project]\n\n[project.urls]\nHomepage = "https://a.org"\n', None),
        ('[tool.x]\nRepository = "https://a.org"\n[project.urls]\n\n[tool.y]\n', None),
        (f'[project]\n\n[project.urls]\nRepository = "{ADDRESS}"\n', ADDRESS),
        (f'[project]\n\n[project.urls]\nA = "b"\nRepository = "{ADDRESS}.git"\n[tool]\n', ADDRESS),
        (f'[project]\n\n[project.urls]\nRepository = "{ADDRESS}/"\n', ADDRESS),
    ],
)
def test_the_address_is_that_of_project_urls(text, address):
    assert execute["repository"](text) == address


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_badge_and_installing_cell_follow_the_address(path):
    notebook = read(path)
    address = execute["repository"]((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert execute["with_links"](notebook, path.name, address)["cells"][1:2] == (
        notebook["cells"][1:2] if address is None else [notebook["cells"][1]]
    )
    plain = execute["with_links"](notebook, path.name, None)
    assert "colab" not in json.dumps(plain)
    assert "git+" not in json.dumps(plain)
    linked = execute["with_links"](plain, path.name, ADDRESS)
    title, badge, install, *rest = linked["cells"]
    assert [title, *rest] == plain["cells"]
    colab = "https://colab.research.google.com/github/someone/pgtf/blob/HEAD/notebooks"
    assert f"({colab}/{path.name})" in badge["source"]
    assert install["source"].endswith(f"%pip install -q git+{ADDRESS}")
    ast.parse(install["source"].replace("%pip", "# %pip") + "\n    pass")
    assert execute["with_links"](linked, path.name, None) == plain
    elsewhere = execute["with_links"](plain, path.name, "https://example.org/pgtf")
    assert [cell["id"] for cell in elsewhere["cells"][:2]] == [title["id"], "install"]


@pytest.mark.slow  # trains for seconds in two kernels
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path):
    pytest.importorskip("nbclient", reason="the notebooks are not run: no nbclient")
    execute["execute"](execute["with_kimg"](read(path), 0.3), tmp_path)  # raises a cell's error
    assert [run.name for run in (tmp_path / "results").iterdir()][0].startswith("000-")
