"""Who may import whom, and that importing does nothing else."""

import ast
import dataclasses
import os
import pathlib
import pkgutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
LIBRARY = sorted(
    path.relative_to(ROOT)
    for folder in ("pgtf", "metrics")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__main__.py"  # scripts, and what runs like one, may import everything
)
# Scripts run by name are imported as well: by tests, by each other and by spawned processes.
SCRIPTS = sorted(
    path.relative_to(ROOT)
    for path in [
        *ROOT.glob("*.py"),
        *(path for room in ("pgtf", "metrics") for path in (ROOT / room).rglob("__main__.py")),
        *(path for room in ("benchmarks", "examples") for path in (ROOT / room).glob("*.py")),
    ]
)
SOURCES = [*LIBRARY, *SCRIPTS, *(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))]
MODULES = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in LIBRARY]

# Every room may import itself. `config` composes the other rooms' dataclasses. Only the three rooms
# that use the operations of `ops` may import it, and only by its front door (test below).
ALLOWED = {
    "": {  # the package itself, whose names are lazy
        *("api", "config", "dataset", "export", "interop", "lazy", "metrics", "networks"),
        "schedule",
    },
    "api": {
        *("config", "dataset", "depth", "distribution", "export", "foreign", "grids", "images"),
        *("label_groups", "metrics", "networks", "runs", "schedule", "training", "wording"),
    },
    "commands": {
        *("api", "config", "dataset", "depth", "distribution", "export", "files", "foreign"),
        *("graphs", "grids", "images", "installation", "interop", "label_groups", "marks"),
        *("metrics", "networks", "previews", "publish", "restoration", "runs", "training"),
        *("wording", "__version__"),
    },
    "front": {"metrics"},
    "config": {
        *("augment", "dataset", "foreign", "installation", "networks", "losses", "schedule"),
        "training",
    },
    "installation": set(),
    "training": {
        *("augment", "dataset", "depth", "distribution", "events", "files", "foreign", "grids"),
        *("images", "installation", "interop", "label_groups", "losses", "marks", "networks"),
        *("ops", "runs", "schedule", "wording"),
    },
    "runs": {"dataset", "files", "foreign", "installation", "interop", "wording"},
    "distribution": {"foreign"},
    "dataset": {
        *("files", "foreign", "grids", "images", "installation", "label_groups", "lazy"),
        *("previews", "stored", "wording"),
    },
    "foreign": {"files"},
    "files": set(),
    "images": {"files"},
    "previews": {"images", "installation"},
    "stored": {"files", "images"},
    "events": {"dataset", "files", "images"},
    "networks": {"grids", "lazy", "ops"},
    "losses": {"label_groups", "lazy"},
    "label_groups": set(),
    "graphs": {"graph_operations"},
    "depth": {"images", "previews"},
    "lazy": set(),
    "grids": set(),
    "wording": set(),
    "export": {
        *("depth", "files", "foreign", "graphs", "grids", "images", "installation", "interop"),
        *("label_groups", "lazy", "marks", "networks", "ops", "previews", "stored", "wording"),
    },
    "marks": {"foreign"},
    "metrics": {
        *("dataset", "depth", "events", "files", "foreign", "graphs", "images", "installation"),
        *("label_groups", "losses", "previews", "wording"),
    },
    "publish": {
        *("dataset", "export", "files", "foreign", "images", "installation", "interop"),
        *("label_groups", "marks", "networks", "wording"),
    },
    "interop": {"files", "foreign", "label_groups", "networks"},
    "restoration": {"dataset", "files", "foreign", "graphs", "images"},
}


def room(module):
    """pgtf.training.loop -> training, metrics -> front (re-exports), anything foreign -> None."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "pgtf" else {"metrics": "front"}.get(package)


def imported_modules(module, source, is_package):
    """Dotted names that a module imports anywhere; names taken from a package come with it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")[: len(module.split(".")) - node.level + is_package]
            base = ".".join((parents if node.level else []) + [node.module or ""]).strip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def forbidden(module, source, is_package=False):
    """Imports whose arrow is not allowed, e.g. ["pgtf.losses"] in a module of networks."""
    return [
        name
        for name in imported_modules(module, source, is_package)
        if room(name) not in {None, room(module)} | ALLOWED.get(room(module), set())
    ]


@pytest.mark.parametrize("path", LIBRARY, ids=str)
def test_imports_go_only_where_the_arrows_point(path):
    module = MODULES[LIBRARY.index(path)]
    assert forbidden(module, _source(path), path.name == "__init__.py") == []


def _source(path):
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pgtf.networks.layers", "import pgtf.losses"),
        ("pgtf.networks.layers", "from pgtf import losses"),
        ("pgtf.networks.layers", "from .. import losses"),
        ("pgtf.networks.layers", "from ..training.loop import run"),
        ("pgtf.training.loop", "def run():\n    from pgtf.config import Config"),
        ("pgtf.training.loop", "import pgtf.metrics.swd"),
        ("pgtf.images", "from pgtf.dataset import pipeline"),
        ("pgtf.metrics.swd", "from pgtf.interop import load_pkl"),
        ("pgtf.restoration.training", "from metrics import ms_ssim"),
        ("pgtf.dataset.faces.maker", "import pgtf.restoration.restorer"),
    ],
)
def test_a_wrong_arrow_is_seen_in_every_spelling(module, source):
    assert len(forbidden(module, source)) == 1


def longest_module(name):
    """pgtf.dataset.folder.open_dataset -> pgtf.dataset.folder; anything foreign -> ""."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def in_circles(imports):
    """Modules that import themselves by way of others, of {module: set of modules}."""

    def reached(module):
        seen, rest = set(), [module]
        while rest:
            new = imports[rest.pop()] - seen
            seen |= new
            rest += new
        return seen

    return [module for module in imports if module in reached(module)]


@pytest.fixture(scope="module")
def graph():
    """Imports of every module, those in functions included.

    A name that a package re-exports leads to the package, which leads to the module that defines
    it. Python also runs a package before each of its modules; that is no import of ours.
    """
    found = {
        module: {
            longest_module(name)
            for name in imported_modules(module, _source(path), path.name == "__init__.py")
        }
        for path, module in zip(LIBRARY, MODULES, strict=True)
    }
    return {module: names - {"", module} for module, names in found.items()}


def test_no_modules_import_each_other_in_a_circle(graph):
    assert sum(map(len, graph.values())) > len(graph)
    assert in_circles(graph) == []


def test_a_circle_through_a_package_is_seen(graph):
    changed = graph | {"pgtf.dataset.tfrecords": {"pgtf.dataset"}}
    expected = {f"pgtf.dataset{x}" for x in ("", ".folder", ".tfrecords")}
    assert expected <= set(in_circles(changed))


def test_config_takes_only_dataclasses_and_interfaces_from_other_rooms():
    names = {
        name
        for path, module in zip(LIBRARY, MODULES, strict=True)
        if room(module) == "config"
        for name in imported_modules(module, _source(path), path.name == "__init__.py")
        if room(name) not in (None, "config", "foreign", "installation")
    }
    assert names
    for name in names:
        taken = pkgutil.resolve_name(name)
        assert isinstance(taken, type), name
        assert dataclasses.is_dataclass(taken) or getattr(taken, "_is_protocol", False), name


def effects(statements):
    """Yields code that runs at import for its effect alone: calls and changes of os.environ."""
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        is_change = isinstance(node, ast.Assign | ast.AugAssign | ast.Delete) and any(
            ast.unparse(target).startswith("os.environ")
            for target in getattr(node, "targets", [getattr(node, "target", None)])
        )
        if is_call or is_change:
            yield ast.unparse(node)
        for field in ("body", "orelse", "handlers", "finalbody"):
            yield from effects(getattr(node, field, []))


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_modules_only_define_things_when_they_are_imported(path):
    """Importing them cannot show all: some effects depend on the processor or the environment."""
    found = list(effects(ast.parse(_source(path)).body))
    if path.parts[0] == "examples":  # They run without an installed package.
        found = [code for code in found if not code.startswith("sys.path.insert(")]
    if path == pathlib.Path("benchmarks/__init__.py"):  # It answers before NumPy is imported.
        found.remove("command_line.check_packages()")
    if path == pathlib.Path("tests/conftest.py"):  # pytest has no moment before other conftests.
        found.remove("os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')")
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "os.environ.setdefault('A', '1')",
        "os.environ['A'] = '1'",
        "os.environ |= {'A': '1'}",
        "del os.environ['A']",
        "os.putenv('A', '1')",
        "if True:\n    pass\nelse:\n    fast_sort.choose()",
        "try:\n    pass\nexcept OSError:\n    fast_sort.choose()",
        "try:\n    pass\nfinally:\n    fast_sort.choose()",
        "class A:\n    os.environ.clear()",
    ],
)
def test_an_effect_is_seen_in_every_spelling(source):
    assert len(list(effects(ast.parse(source).body))) == 1
    guarded = "if __name__ == '__main__':\n" + "\n".join("    " + x for x in source.splitlines())
    assert list(effects(ast.parse(guarded).body)) == []


# Logical devices can be set only while TensorFlow has made none: the last line shows that no
# module has run an operation.
IMPORT_ALL = """
import importlib, os, random, sys, threading, warnings
import keras, numpy as np, tensorflow as tf
from absl import flags

def settings():
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "python random": random.getstate(),
        "numpy random": repr(np.random.get_state()),
        "tensorflow seed": tf.compat.v1.get_seed(None),
        "visible devices": tf.config.get_visible_devices(),
        "eager functions": tf.config.functions_run_eagerly(),
        "inter-op threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "intra-op threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "python threads": threading.active_count(),
        "keras dtypes": (keras.config.floatx(), keras.config.dtype_policy().name),
        "keras images": keras.config.image_data_format(),
        "flags": sorted(flags.FLAGS),
        "warning filters": repr(warnings.filters),
        "log level": tf.get_logger().level,
    }

library, scripts = (names.split() for names in sys.argv[1:])
before = settings()
for names, allowed in ((library, set()), (scripts, {"flags"})):
    for name in names:
        importlib.import_module(name)
    after = settings()
    changed = {x: (before[x], after[x]) for x in before if before[x] != after[x]}
    assert changed.keys() <= allowed, changed
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def test_importing_every_module_has_no_effects(tmp_path):
    scripts = [".".join(path.with_suffix("").parts) for path in SCRIPTS]
    # conftest.py sets a variable for pytest's children, which would hide that a module does.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [
            sys.executable,
            "-B",
            "-W",
            "error",
            "-c",
            IMPORT_ALL,
            " ".join(MODULES),
            " ".join(scripts),
        ],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_command_can_be_interrupted_before_typing_is_imported():
    """Python's own import of it takes longer than all that comes before the handlers of signals."""
    code = "import sys; from pgtf.commands import entry; print('typing' in sys.modules)"
    command = [sys.executable, "-S", "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
