"""Every script says in one line which packages are missing, as in a system's own Python."""

import os
import pathlib
import subprocess
import sys

import pytest

from pgtf import installation

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASIC = "absl-py, h5py, numpy, pillow, scipy, tqdm"
SCRIPTS = {
    "train.py": f"{BASIC}, tensorflow, keras, tensorboard",
    "generate.py images": f"{BASIC}, tensorflow, keras",
    "dataset_tool.py create_demo x": BASIC,
    "-m metrics": f"{BASIC}, tensorflow, keras",
    "-m pgtf generate grid": f"{BASIC}, tensorflow, keras",
    "-m pgtf.restoration train": f"{BASIC}, tensorflow, keras",
    "-m benchmarks.training": f"{BASIC}, tensorflow, keras",
    "-m benchmarks.swd": f"{BASIC}, tensorflow, keras",
    "examples/digits.py judge x": f"{BASIC}, tensorflow, keras",
    "examples/faces.py x": f"{BASIC}, tensorflow, keras",
    "examples/photographs.py x": f"{BASIC}, tensorflow, keras",
    "-m tests.chaos": f"{BASIC}, tensorflow, keras",
    "-m tests.fuzz": f"{BASIC}, tensorflow, keras",
    "serving/grpc_client.py demo 0": "grpc, numpy, PIL, tensorflow, tensorflow_serving",
}


def without_packages(*words, folder=ROOT, site="-S"):
    """Runs Python without the packages that pip installed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, site, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_names_the_missing_packages_in_one_line(script):
    done = without_packages(*script.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: missing Python packages: {SCRIPTS[script]}. ")
    assert "python -m pip install " in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "line", ["-m pgtf --help", "-m pgtf --version", "serving/rest_client.py -h"]
)
def test_what_needs_no_package_is_answered_without(line):
    done = without_packages(*line.split())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose environment is not the one that runs."""
    (tmp_path / "train.py").touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    monkeypatch.setattr(installation, "ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_environment_of_make_is_named_where_it_exists_and_is_not_active(checkout, monkeypatch):
    install = "python -m pip install -r requirements.txt"
    plain = f"missing Python packages: numpy. Install what is needed: {install}"
    assert installation.missing_message(["numpy"]) == plain
    (checkout / ".venv/bin/python").touch()
    assert installation.missing_message(["numpy"]) == (
        "missing Python packages: numpy. The environment that make created is not active: source "
        ".venv/bin/activate, or type .venv/bin/python for python. To use this one instead: "
        f"{install}"
    )
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    assert installation.missing_message(["numpy"]) == plain


def test_paths_in_the_remedy_are_right_from_another_folder(checkout, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert installation.missing_message(["numpy"]).endswith(f"-r {checkout}/requirements.txt")


def test_an_optional_package_is_named_as_pip_knows_it(checkout):
    line = installation.missing_message(["scikit-learn"], "sklearn.datasets")
    assert line == (
        "missing Python packages: sklearn.datasets. "
        "Install what is needed: python -m pip install scikit-learn"
    )


@pytest.mark.parametrize(
    ("argv", "command", "again"),
    [
        (["train.py", "--new"], "python train.py", ["PYTHON", "train.py", "--new"]),
        (["/x/pgtf", "train"], "pgtf train", ["/x/pgtf", "train"]),
        (
            ["/x/pgtf/__main__.py", "train"],
            "python -m pgtf train",
            ["PYTHON", "-m", "pgtf", "train"],
        ),
    ],
)
def test_commands_are_named_as_they_were_typed(argv, command, again, checkout, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv)
    assert installation.command("train") == command
    assert installation.words_typed("PYTHON") == again
    assert installation.spelled("Run python train.py, or train.py alone.") == (
        "Run python train.py, or train.py alone."
        if argv[0] == "train.py"
        else f"Run {command}, or {command} alone."
    )


def test_an_installed_package_has_no_scripts_to_name(checkout):
    (checkout / "train.py").unlink()
    text = "python -m metrics plot; python dataset_tool.py display x; generate.py grid"
    assert installation.spelled(text) == (
        "pgtf metrics plot; pgtf dataset display x; pgtf generate grid"
    )
    assert installation.spelled("my_generate.py, retrain.pyx") == "my_generate.py, retrain.pyx"
