"""The Dockerfiles and what they let into an image. No engine builds them here."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile*"))
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def instructions(path):
    """Returns [(instruction, rest)] of a Dockerfile, without comments, each on one line."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def copied(path):
    """Returns the sources of COPY instructions."""
    return [
        name for word, rest in instructions(path) if word == "COPY" for name in rest.split()[:-1]
    ]


def let_in():
    """Returns the names that .dockerignore excepts from `*`."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    return [line[1:] for line in lines if line.startswith("!")]


def test_there_is_one_for_gpus_and_one_for_cpus():
    assert [path.name for path in DOCKERFILES] == ["Dockerfile", "Dockerfile.cpu"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_base_is_a_pinned_python_that_is_supported(path):
    (base,) = [rest for word, rest in instructions(path) if word == "FROM"]
    version = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-bookworm", base)
    assert version
    assert version[1] in PYTHONS


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_packages_are_those_of_the_requirements_in_the_tested_versions(path):
    (install,) = [rest for word, rest in instructions(path) if word == "RUN" and "pip" in rest]
    files = re.findall(r"-[rc] (\S+)", install)
    gpu = path.suffix != ".cpu"
    assert files == ["requirements-gpu.txt" if gpu else "requirements.txt", "constraints.txt"]
    needed = set(files)
    for name in files:
        needed |= set(re.findall(r"^-r (\S+)", (ROOT / name).read_text(), re.MULTILINE))
    assert needed <= set(copied(path))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_exists_and_is_let_in(path):
    names = copied(path)
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []
    assert [name for name in names if name not in let_in()] == []


def test_nothing_else_is_let_in():
    assert set(let_in()) == {name for path in DOCKERFILES for name in copied(path)}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_container_is_not_root_and_keeps_data_in_volumes_that_its_user_owns(path):
    found = instructions(path)
    words = [word for word, _ in found]
    user = dict(found)["USER"]
    assert user.isdigit()
    assert int(user) > 0
    assert words.index("USER") < words.index("CMD")
    volumes = re.findall(r'"/pgtf/(\w+)"', dict(found)["VOLUME"])
    assert volumes == ["datasets", "results", "serving"]
    assert dict(found)["WORKDIR"] == "/pgtf"
    (made,) = [rest for word, rest in found if word == "RUN" and "useradd" in rest]
    assert f"chown {user}:{user} {' '.join(volumes)}" in made
    page = (ROOT / "docs" / "docker.md").read_text()
    assert [v for v in volumes if f'-v "$PWD/{v}:/pgtf/{v}"' not in page] == []
    assert f"docker/{path.name} ." in page


def test_the_two_differ_in_what_gpus_need_only():
    both = [set(instructions(path)) for path in DOCKERFILES]
    words = {word for word, _ in both[0] ^ both[1]}
    assert words == {"ENV", "COPY", "RUN"}
    environment = dict(instructions(DOCKERFILES[0]))["ENV"]
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in environment


@pytest.mark.slow
def test_the_files_of_an_image_are_enough_for_its_command(tmp_path):
    for name in copied(ROOT / "docker" / "Dockerfile.cpu"):
        place = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        place(ROOT / name, tmp_path / name)
    for command in (
        ["train.py", "--list_presets"],
        ["generate.py", "--help"],
        ["-m", "metrics", "--help"],
    ):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout != "") == (0, True), done.stderr
