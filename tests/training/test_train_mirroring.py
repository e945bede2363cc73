"""Mirror augmentation by the dataset's default, through the command train.py."""

import json
import shutil

import pytest

from pgtf.config import Config
from tests.training.test_train import TINY

pytestmark = pytest.mark.usefixtures("without_graphs")  # The numbers of runs do not matter here.

SMALL = ("--preset=v2-1gpu", "--config.G.latent_size=8", *TINY[1:])  # states no mirroring


@pytest.fixture
def celebahq(dataset_folder, tmp_path):
    """The blocks under a name that the original release mirrors."""
    shutil.copytree(dataset_folder, tmp_path / "celebahq")
    return f"--dataset={tmp_path / 'celebahq'}"


@pytest.mark.parametrize(
    ("arguments", "value", "line"),
    [
        (["--preset=v2-8gpus"], True, "on (the original release's default for a dataset named"),
        (["--gpus=1"], True, "on (the original release's default for a dataset named"),
        (
            ["--gpus=1", "--config.dataset.mirror_augment=false"],
            False,
            "off (stated by --config.dataset.mirror_augment)",
        ),
        (["--preset=demo"], False, "off (stated by preset demo)"),
        (
            ["--preset=demo", "--config.dataset.mirror_augment=none"],
            True,
            "on (the original release's default for a dataset named",
        ),
        (["--preset=mnist1k-k2-base"], False, "off (stated by preset mnist1k-k2-base)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_dry_run_says_whether_reals_are_mirrored_and_why(run, celebahq, arguments, value, line):
    code, out, err = run("--dry_run", celebahq, *arguments)
    assert code == 0
    config = Config.from_json(out.split("\n}\n")[0] + "\n}")
    assert config.dataset.mirror_augment is value
    assert f"Mirror augmentation: {line}" in err


def test_a_run_begun_without_mirroring_continues_without_it_and_says_so(run, celebahq, tmp_path):
    command = [celebahq, *SMALL, "--total_kimg=0.064"]
    assert run(*command, "--config.dataset.mirror_augment=false")[0] == 0
    (folder,) = (tmp_path / "results").iterdir()
    stored = (folder / "config.json").read_bytes()
    code, out, _ = run(*command)
    assert (code, "is finished" in out) == (0, True)
    (folder / "finished").unlink()  # as if the last tick had been cut short
    assert run(*command)[0] == 0
    log = (folder / "log.txt").read_text()
    assert "Mirror augmentation: off (stated by --config.dataset.mirror_augment)" in log
    assert "Mirror augmentation: off (as this run began; on is the original release's" in log
    assert (folder / "config.json").read_bytes() == stored
    assert len(list((tmp_path / "results").iterdir())) == 1


def test_a_new_run_stores_the_datasets_default_as_its_own(run, celebahq, tmp_path):
    assert run(celebahq, *SMALL, "--total_kimg=0.064")[0] == 0
    (folder,) = (tmp_path / "results").iterdir()
    assert json.loads((folder / "config.json").read_text())["dataset"]["mirror_augment"] is True
    log = (folder / "log.txt").read_text()
    assert "Mirror augmentation: on (the original release's default for a dataset named" in log
