"""The package as pip installs it: what it is made of, and its commands from any folder."""

import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

import pgtf

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, for which pytest brings it
    import tomli as tomllib

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
SINGLE = {name: packages for name, packages in EXTRAS.items() if name not in ("all", "gpu")}
SOURCES = ("pgtf", "metrics", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")


def requirements(name):
    """Lines of a requirements file without comments and other files."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line[:1] not in ("#", "-")]


def package(requirement):
    """tensorflow[and-cuda]>=2.18 -> tensorflow"""
    return re.match(r"[\w-]+", requirement)[0]


def test_the_package_and_requirements_txt_need_the_same():
    assert PROJECT["dependencies"] == requirements("requirements.txt")


def test_the_gpu_extra_is_requirements_gpu_txt_and_all_holds_every_other_extra():
    assert EXTRAS["gpu"] == requirements("requirements-gpu.txt")
    assert EXTRAS["all"] == [f"pgtf[{','.join(SINGLE)}]"]


def test_every_extra_is_in_the_readme_with_its_packages_and_the_readme_has_no_other():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"`\[(\w+)\]` ([^`|]+)", readme[readme.index("## Dependencies") :])
    listed = {name: re.findall(r"[a-z][\w-]+", packages) for name, packages in rows}
    assert listed == {name: list(map(package, found)) for name, found in SINGLE.items()}


def test_what_the_tests_install_of_an_extra_has_the_same_bounds():
    optional = {package(text): text for found in SINGLE.values() for text in found}
    tested = [line for line in requirements("requirements-dev.txt") if package(line) in optional]
    assert len(tested) >= 6
    assert [line for line in tested if line != optional[package(line)]] == []


def test_the_version_stands_in_the_package_and_the_citation_repeats_it():
    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [pgtf.__version__]
    assert re.findall(r"^license: (.*)$", citation, re.MULTILINE) == [PROJECT["license"]]


def test_the_classifiers_name_the_pythons_that_make_tries():
    named = [x.rpartition(" ")[2] for x in PROJECT["classifiers"] if "Python :: 3." in x]
    pythons = re.search(r"^PYTHONS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert named == pythons.split()[::-1]


SCRIPT = re.compile(r"\b(train|dataset_tool|generate)\.py\b|python -m metrics\b")
# Calls whose texts become the commands that are typed: at once, or where help is formatted.
NAMING = {"spelled", "command", "add_argument", "_string", "Annotated"}
PLAIN = {"pgtf/installation.py", "pgtf/metrics/interface.py"}  # The evaluator spells NEEDS.


def named_scripts(node, is_spelled=False):
    """Texts in code, docstrings aside, that name a script, though an installed package has none."""
    if isinstance(node, ast.Call | ast.Subscript):
        called = getattr(node, "func", getattr(node, "value", None))
        is_spelled |= getattr(called, "attr", getattr(called, "id", "")) in NAMING
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    text = node.value if isinstance(node, ast.Constant) else None
    if isinstance(text, str) and SCRIPT.search(text) and not is_spelled:
        yield text
    for child in ast.iter_child_nodes(node):
        yield from named_scripts(child, is_spelled)


def test_messages_name_commands_as_they_are_typed():
    found = {}
    for path in sorted((ROOT / "pgtf").rglob("*.py")):
        texts = list(named_scripts(ast.parse(path.read_text(encoding="utf-8"))))
        if texts:
            found[str(path.relative_to(ROOT))] = texts
    assert {name: found[name] for name in found if name not in PLAIN} == {}
    assert found.keys() == PLAIN


@pytest.mark.parametrize(
    "text", ["f'{x}: see generate.py grid'", "'run python -m metrics plot'", "'made by train.py'"]
)
def test_a_message_that_names_a_script_is_seen(text):
    assert len(list(named_scripts(ast.parse(f"raise ValueError({text})")))) == 1
    assert list(named_scripts(ast.parse(f"{text.lstrip('f')}\nx = spelled({text})"))) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the sources, without network."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        ignore = shutil.ignore_patterns("__pycache__")
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, copy)
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    pip(sys.executable, "wheel", "--quiet", *offline, f"--wheel-dir={out}", str(copy))
    (built,) = out.glob("*.whl")
    return built


def pip(python, *words):
    command = [sys.executable, "-m", "pip", f"--python={python}", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_every_file_of_the_package_and_no_other_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for path in (ROOT / "pgtf").rglob("*") if path.is_file())
    ours = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert held == ours
    assert {"pgtf/py.typed", "pgtf/export/report.html"} < held
    assert wheel.name == f"pgtf-{pgtf.__version__}-py3-none-any.whl"


class Installed:
    """The package in an environment of its own, with the other packages of this one."""

    def __init__(self, wheel, folder):
        self.folder = folder
        environment = folder / "environment"
        command = [sys.executable, "-m", "venv", "--without-pip", environment]
        subprocess.run(command, check=True)
        self.bin = environment / "bin"
        pip(self.bin / "python", "install", "--quiet", "--no-deps", "--no-index", str(wheel))

    def see_packages(self):
        """Makes the packages of this environment visible in the other."""
        ask = [self.bin / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        site = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        pathlib.Path(site, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def say(self, *words):
        """Runs a program of the environment in the other folder. Returns code, output, errors."""
        hidden = ("PYTHONPATH", "VIRTUAL_ENV", "COLUMNS")
        inherited = {key: value for key, value in os.environ.items() if key not in hidden}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [self.bin / words[0], *words[1:]],
            cwd=self.folder,
            env=inherited | {"PATH": path},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    made = Installed(wheel, tmp_path_factory.mktemp("elsewhere"))
    # Nothing but pgtf is installed yet.
    made.without_packages = made.say("pgtf", "train"), made.say("pgtf", "--version")
    made.see_packages()
    return made


def test_an_installed_command_names_the_packages_that_it_misses(installed):
    (code, out, err), version = installed.without_packages
    assert (code, out) == (2, "")
    assert re.fullmatch(
        "error: missing Python packages: absl-py, .*tensorboard. "
        "Install what is needed: python -m pip install absl-py .*tensorboard\n",
        err,
    )
    assert version == (0, f"pgtf {pgtf.__version__}\n", "")


def test_the_installed_package_is_the_one_that_runs(installed):
    code, out, _ = installed.say("python", "-c", "import pgtf; print(pgtf.__file__)")
    assert code == 0
    assert pathlib.Path(out.strip()).is_relative_to(installed.folder)


@pytest.mark.parametrize("name", ["train", "dataset", "generate", "metrics"])
def test_help_of_an_installed_command_names_what_is_typed(installed, name):
    code, out, err = installed.say("pgtf", name, "--help")
    assert (code, err) == (0, "")
    assert f"pgtf {name} " in out
    assert re.findall(r"\w+\.py\b|python -m metrics", out) == []
    assert installed.say("python", "-m", "pgtf", name, "--help")[1].count("python -m pgtf") >= 1


def test_datasets_are_made_and_training_begins_in_any_folder(installed):
    create = ("create_demo", "datasets/demo", "--num_images=20", "--resolution=8")
    code, out, err = installed.say("pgtf", "dataset", *create)
    assert code == 0, err
    assert "Images         20\n" in out
    assert (installed.folder / "datasets/demo/demo-r03.tfrecords").is_file()
    code, out, err = installed.say("pgtf", "train", "--dry_run")
    assert code == 0, err
    assert '"path": "datasets/demo"' in out
    assert f"Run: a new one in {installed.folder}/results" in err


def test_a_remedy_is_a_command_that_works_there(installed):
    for words, remedy in (
        (("generate", "grid"), "no run in results. Train one with pgtf train, or give --run."),
        (("train", "--dataset=x"), "x: no such dataset folder. Create it with pgtf dataset."),
        (("train", "--prset=x"), "Did you mean --preset? (pgtf train --help lists the flags)"),
    ):
        code, _, err = installed.say("pgtf", *words)
        assert code == 2
        assert re.fullmatch(f"error: .*{re.escape(remedy)}\n", err), err
