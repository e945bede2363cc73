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
MODULES = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in LIBRARY]

# Every room may import itself. `config` composes the other rooms' dataclasses. `restoration` reads
# folders of images as `dataset` does; dataset knows nothing of it: dataset_tool.py hands a network
# to create_faces, and `python -m pgtf.restoration` takes SSIM from metrics.
ALLOWED = {
    "config": {"dataset", "networks", "losses", "schedule", "training"},
    "training": {"dataset", "networks", "losses", "schedule", "images", "interop"},
    "dataset": {"images"},
    "export": {"images", "networks", "interop"},
    "metrics": {"images"},
    "interop": {"networks"},
    "restoration": {"dataset", "images"},
}


def room(module):
    """pgtf.training.loop -> training, metrics.swd -> metrics, anything foreign -> None."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "pgtf" else {"metrics": package}.get(package)


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
        ("pgtf.training.loop", "import metrics.swd"),
        ("pgtf.images", "from pgtf.dataset import pipeline"),
        ("metrics.swd", "from pgtf.interop import load_pkl"),
        ("pgtf.restoration.training", "from metrics import ms_ssim"),
        ("pgtf.dataset.faces.maker", "import pgtf.restoration.restorer"),
    ],
)
def test_a_wrong_arrow_is_seen_in_every_spelling(module, source):
    assert len(forbidden(module, source)) == 1


def test_config_takes_only_dataclasses_from_other_rooms():
    names = {
        name
        for path, module in zip(LIBRARY, MODULES, strict=True)
        if room(module) == "config"
        for name in imported_modules(module, _source(path), path.name == "__init__.py")
        if room(name) not in (None, "config")
    }
    assert names
    for name in names:
        taken = pkgutil.resolve_name(name)
        assert isinstance(taken, type), name
        assert dataclasses.is_dataclass(taken), name


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

before = settings()
for name in sys.argv[1:]:
    importlib.import_module(name)
after = settings()
changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
assert not changed, changed
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
"""


def test_importing_every_module_has_no_effects(tmp_path):
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", IMPORT_ALL, *MODULES],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
