"""Whoever knows the paper meets no processor: only pgtf.ops asks for one."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAPER = [*(ROOT / "pgtf/networks").rglob("*.py"), *(ROOT / "pgtf").glob("losses/**/*.py")]
PAPER += [path for path in (ROOT / "pgtf/losses.py", ROOT / "pgtf/schedule.py") if path.exists()]
# They say which device there is, what compiles, or where a gradient goes.
FORBIDDEN = (
    "list_logical_devices list_physical_devices jit_compile custom_gradient control_dependencies "
    "device XlaMustCompile is_gpu_available"
).split()


def offences(source):
    """Imports of implementations and questions about devices in the source of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("pgtf.ops"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pgtf.ops"):
            yield node.module
        elif isinstance(node, ast.Attribute) and node.attr in FORBIDDEN:
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg in FORBIDDEN:
            yield node.arg


@pytest.mark.parametrize("path", PAPER, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_paper_knows_no_implementation_and_no_device(path):
    assert list(offences(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pgtf.ops.training",
        "from pgtf.ops import winograd",
        "from pgtf.ops.training import conv2d",
        "tf.config.list_logical_devices('GPU')",
        "tf.function(f, jit_compile=True)",
        "@tf.custom_gradient\ndef f(x): ...",
    ],
)
def test_a_fast_form_in_the_paper_is_seen_in_every_spelling(source):
    assert len(list(offences(source))) == 1


def test_choosing_an_implementation_is_allowed():
    assert list(offences("from pgtf import ops\nwith ops.implementation('inference'): ...")) == []
