"""Links, paths and deviations in the pages at the top level and in docs/."""

import pathlib
import re
import subprocess

import pytest

import pgtf
from tests.reference import fidelity

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "notebooks" / "README.md"]
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which names what is gone, too
FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|config|yml))`")
FOLDER = re.compile(r"`((?:pgtf|tests|docs|benchmarks|examples)/[\w/-]+)`")
OUTPUT = re.compile(r"--(?:out|save|plot|picture)=([\w.-]+)(?![\w./-])")
MODULE = re.compile(
    r"`?(?:(?<=`)|(?<=-m )|(?<=from ))((?:pgtf|benchmarks|metrics|tests)(?:\.\w+)+)"
)


def links(text):
    """Targets of all Markdown links and pictures outside code blocks."""
    prose = re.sub(r"^( {4}|```).*$", "", text, flags=re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def anchors(text):
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page, text):
    """Relative links of a page whose file or heading does not exist."""
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            yield link


def missing_paths(page, text):
    """Files and folders in backticks that are not in the repository, seen from root or page."""
    for path in FILE.findall(text) + FOLDER.findall(text):
        if not (ROOT / path).exists() and not (page.parent / path).exists():
            yield path


def missing_modules(text):
    """Dotted names of which not even the module exists, e.g. metrics.fid for pgtf.metrics.fid."""
    for name in MODULE.findall(text):
        if name.split(".")[1] in pgtf.__all__:
            continue
        path = ROOT.joinpath(*name.split(".")[:2])
        if not path.is_dir() and not path.with_suffix(".py").exists():
            yield name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page):
    assert list(broken_links(page, page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", PRESENT, ids=lambda page: page.name)
def test_every_file_and_module_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    assert [*missing_paths(page, text), *missing_modules(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "[a](docs/gone.md)",
        "![a](docs/images/gone.png)",
        "[a](docs/metrics.md#gone)",
        "`pgtf/gone.py`",
        "`pgtf/gone`",
        "`pgtf.gone.function`",
        "python -m benchmarks.gone",
    ],
)
def test_a_wrong_link_or_path_is_seen(text):
    page = ROOT / "README.md"
    found = [*broken_links(page, text), *missing_paths(page, text), *missing_modules(text)]
    assert len(found) == 1


def test_every_page_of_the_docs_is_linked_from_another_page():
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in links(page.read_text(encoding="utf-8"))
        if "://" not in link and not link.startswith("#")
    }
    assert [page.name for page in PAGES if page.name != "README.md" and page not in linked] == []


def test_every_picture_of_the_docs_is_shown():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    pictures = sorted(path.name for path in (ROOT / "docs" / "images").iterdir())
    assert pictures
    assert [name for name in pictures if f"images/{name})" not in text] == []


def test_every_deviation_that_the_code_marks_has_its_line_in_fidelity_md():
    page = fidelity.PAGE.read_text(encoding="utf-8")
    assert page == fidelity.replaced(page, "deviations", fidelity.deviations())


def test_every_required_and_optional_package_is_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## Dependencies") :]
    names = []
    for file in ("requirements.txt", "requirements-dev.txt", "requirements-addons.txt"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            names += re.findall(r"^[\w-]+", line.replace("types-tqdm", ""))
    assert len(names) > 20
    assert [name for name in names if name.lower() not in table.lower() and name[0] != "-"] == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout of git")
def test_what_the_lines_of_the_pages_write_does_not_dirty_the_checkout():
    written = {name for page in PRESENT for name in OUTPUT.findall(page.read_text())}
    assert {"demo-fakes", "grid.png", "me"} <= written
    names = "\n".join(sorted(f"{name}/x" if "." not in name else name for name in written))
    command = ["git", "check-ignore", "--no-index", "--stdin"]
    done = subprocess.run(command, cwd=ROOT, input=names, stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == names.split()
