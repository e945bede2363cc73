"""Each kind of file from elsewhere has one reader, in pgtf/foreign."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LIBRARY = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.py"), *ROOT.glob("pgtf/**/*.py"), *ROOT.glob("metrics/**/*.py")]
)
PARSERS = {
    "json": {"load", "loads", "JSONDecoder"},
    "np": {"load", "loadtxt", "genfromtxt"},
    "numpy": {"load", "loadtxt", "genfromtxt"},
}
MODULES = {"pickle", "yaml", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
# What reads text or bytes that this program made itself, in this process or in one it started.
OWN = {
    "pgtf/dataset/partial.py": "a job turned into JSON and back, to compare it with a stored one",
    "pgtf/dataset/workers.py": "results of worker processes that this one started",
    "pgtf/distribution/all_reduce_check.py": "the argument of a process that this one started",
    "pgtf/export/self_check.py": "the report and the arrays of a process that this one started",
    "pgtf/runs/continuation.py": "the answer of the chief of this job",
    "pgtf/training/overfitting.py": "the answer of the chief of this job",
    "pgtf/training/watch.py": "a configuration turned into JSON and back",
}


def parsers(source):
    """Names of the parsers that a module uses: ["json.loads"]."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in PARSERS.get(node.value.id, ()):
                found.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if node.module in MODULES or names & PARSERS.get(node.module or "", set()):
                found.append(node.module)
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import json\nx = json.loads('')",
        "import json\nread = json.load",
        "from json import loads",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import pickle",
        "from pickle import Unpickler",
        "def f():\n    import yaml",
    ],
)
def test_a_parser_is_seen_in_every_spelling(source):
    assert len(parsers(source)) == 1


def test_files_from_elsewhere_are_parsed_in_one_room():
    using = {path for path in LIBRARY if parsers((ROOT / path).read_text(encoding="utf-8"))}
    assert "pgtf/foreign/json_files.py" in using
    assert {path for path in using if not path.startswith("pgtf/foreign/")} == OWN.keys()
