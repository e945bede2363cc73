"""The Python that make chooses, among commands that stand in for Pythons."""

import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parents[1] / ".ci" / "find_python"
PYENV = "pyenv/versions"


@pytest.fixture
def find_python(tmp_path):
    """Runs the script where only the given commands, {path: version or None}, are to be found."""

    def run(commands, *versions, python=""):
        for tool in ("sed", "cat"):
            (tmp_path / "bin").mkdir(exist_ok=True)
            (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
        for path, version in commands.items():
            command = tmp_path / path
            command.parent.mkdir(parents=True, exist_ok=True)
            command.write_text(
                f'#!/bin/sh\ncase "$2" in *"\'{version}\'"*) exit 0;; esac\nexit 1\n'
            )
            command.chmod(0o755)
        environment = {"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "pyenv")}
        return subprocess.run(
            [shutil.which("sh"), SCRIPT, "demo", *versions],
            env={**environment, "PYTHON": python and str(tmp_path / python)},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize(
    ("commands", "chosen"),
    [
        ({"bin/python3.13": "3.13", "bin/python3.12": "3.12"}, "python3.13"),
        ({"bin/python3.13": None, "bin/python3.12": "3.12"}, "python3.12"),  # a shim that refuses
        ({"bin/python3": "3.9", "bin/python": "3.12"}, "python"),
        ({"bin/python3": "3.12", f"{PYENV}/3.13.0/bin/python": "3.13"}, "python3"),
    ],
)
def test_the_newest_python_that_runs_is_chosen_and_path_comes_before_pyenv(
    find_python, commands, chosen
):
    found = find_python(commands, "3.13", "3.12")
    assert (found.returncode, found.stdout.strip()) == (0, chosen)


def test_pythons_of_pyenv_are_found_outside_path(find_python, tmp_path):
    found = find_python({"bin/python3": "3.9", f"{PYENV}/3.12.1/bin/python": "3.12"}, "3.12")
    assert found.stdout.strip() == str(tmp_path / PYENV / "3.12.1/bin/python")


def test_a_named_python_is_the_only_candidate(find_python, tmp_path):
    commands = {"bin/python3.12": "3.12", "mine/python": "3.11"}
    assert find_python(commands, "3.12", "3.11", python="mine/python").stdout.strip() == str(
        tmp_path / "mine/python"
    )


def test_without_a_python_the_versions_looked_for_are_named_and_the_exit_code_is_2(find_python):
    found = find_python({"bin/python3": "3.9"}, "3.13", "3.12")
    assert found.returncode == 2
    assert found.stdout == ""
    assert "make demo: found no Python 3.13, 3.12" in found.stderr
    assert "make PYTHON=/path/to/python demo" in found.stderr
