"""The table of run identity in docs/training.md: every cell, by the real decision."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.tfrecords import open_records, to_records
from pgtf.runs import continuation, identity
from pgtf.runs.choice import Request
from pgtf.runs.identity import Beginning

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
TRAINED, LENGTH = 96, 288  # images: of the unfinished run so far, of both runs in the end
V2 = ("v2-1gpu", "v2-2gpus", "v2-4gpus", "v2-8gpus")
ROWS = {}  # description in the docs -> (function that changes the command, what follows)


class Command:
    """A command that means the stored run until a row changes something about it.

    Attributes:
        root: holds the dataset `blocks`, the run folders `results`, and a file of networks.
        run: folder of the stored run.
    """

    def __init__(self, root, config):
        self.root, self.config, self.path = root, config, root / "blocks"
        self.outdir, self.preset, self.options = root / "results", "demo", {}
        self.networks = root / "networks.h5"
        self.networks.write_bytes(b"networks")
        self.run, self.label_size = None, 0

    def open(self):
        dataset = open_dataset(self.path, max_label_size=self.label_size)
        config = self.config.replace({"dataset.path": str(self.path)})
        request = Request.of(self.outdir, self.preset, config, dataset, **self.options)
        return continuation.open_run(request)

    def change(self, **fields):
        self.config = self.config.replace({k.replace("__", "."): v for k, v in fields.items()})


def brighten(folder, index=3):
    """Changes one image of a dataset in all levels."""
    for path in Path(folder).glob("*.tfrecords"):
        file = open_records(str(path))
        images = file.read(range(file.num_records))
        images[index] ^= 255
        path.write_bytes(to_records(images).tobytes())


def with_values(folder, dtype="uint16", factor=257):
    """Makes a dataset one of another type; describe() then states its facts."""
    for path in Path(folder).glob("*.tfrecords"):
        file = open_records(str(path))
        images = file.read(range(file.num_records)).astype(dtype) * np.array(factor, dtype)
        path.write_bytes(to_records(images).tobytes())
    describe(folder, dtype=dtype)


def describe(folder, **facts):
    """Changes fields of dataset.json."""
    path = Path(folder) / "dataset.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | facts))


def row(description, unfinished, finished, says="", preset="demo", nimg=None, first=None):
    """Decorator: the function makes the difference that this row of the table describes.

    `says` is a pattern of the note or refusal; the run was begun with `preset`, with the networks
    of a file if `nimg` is given, and after a call of `first`.
    """

    def add(function):
        ROWS[description] = (function, unfinished, finished, says, preset, nimg, first)
        return function

    return add


@row("nothing", "continues", "finished")
def _(command):
    pass


@row("the spelling of the dataset's path: slash, relative, absolute, link", "continues", "finished")
def _(command):
    link = command.root / "link"
    link.symlink_to(command.path)
    command.path = f"{link}/"


@row("the dataset was made again, to the same bytes", "continues", "finished")
def _(command):
    shutil.copytree(command.path, command.root / "new")
    shutil.rmtree(command.path)
    (command.root / "new").rename(command.path)


@row(
    "the dataset was moved, copied or renamed",
    "continues, with a note",
    "finished",
    says=r"the dataset moved: continuing with .*/job-17 instead of .*/blocks,",
)
def _(command):
    command.path = command.path.rename(command.root / "job-17")


@row(
    "the images in the dataset's place, be it one of them",
    "refused",
    "refused",
    says=r"content of the dataset .*/blocks was changed",
)
def _(command):
    brighten(command.path)


@row(
    "`range` of `dataset.json`, of values that are not of 8 bits",
    "refused",
    "refused",
    says=r"dataset .*/blocks was changed: another `range` in dataset.json "
    r".now \[0.0, 4095.0\], then \[0.0, 65535.0\]",
    first=lambda command: with_values(command.path),
)
def _(command):
    describe(command.path, range=[0, 4095])


def with_numbers(command):
    """Describes the label columns in use as numbers."""
    group = {"kind": "continuous", "columns": [0, 4], "mean": [0.25] * 4, "deviation": [0.4] * 4}
    describe(command.path, label_groups=[group])
    command.label_size = "full"


@row(
    "kinds, means or deviations of labels in `dataset.json`",
    "refused",
    "refused",
    says=r"dataset .*/blocks was changed: another `label_groups` in dataset.json",
    first=with_numbers,
)
def _(command):
    group = {"kind": "continuous", "columns": [0, 4], "mean": [0.25] * 4, "deviation": [0.5] * 4}
    describe(command.path, label_groups=[group])


@row("the rest of `dataset.json`, but for the split", "continues", "finished")
def _(command):
    describe(command.path, source="x", preview="0", range=[0, 4095], mine=[1])


@row(
    "other images in a folder of the same name elsewhere",
    "refused",
    "refused",
    says=r"dataset.path: '.*/blocks' -> '.*/other/blocks' .other images",
)
def _(command):
    shutil.copytree(command.path, command.root / "other" / "blocks")
    command.path = command.root / "other" / "blocks"
    brighten(command.path)


@row("another dataset", "begins", "begins")
def _(command):
    shutil.copytree(command.path, command.root / "cats")
    command.path = command.root / "cats"
    brighten(command.path)


@row(
    "`--total_kimg` is longer",
    "continues, with a note",
    "continues, with a note",
    says="continuing to 0.5 kimg instead of 0.288",
)
def _(command):
    command.change(training__total_kimg=0.5)


@row(
    "`--total_kimg` is shorter",
    "continues, with a note",
    "finished, with a note",
    says="continuing to 0.2 kimg|trained to 0.288 kimg already, 0.2 are",
)
def _(command):
    command.change(training__total_kimg=0.2)


@row(
    "`--total_kimg` is not above what was trained",
    "finished, with a note",
    "finished, with a note",
    says="was trained to 0.(096|288) kimg already, 0.096 are asked",
)
def _(command):
    command.change(training__total_kimg=0.096)


@row(
    "intervals and sizes of pictures and snapshots, and the picture budget",
    "continues, with a note",
    "finished",
    says="from now on training.image_snapshot_ticks: 1 -> 3; .*picture_budget_mb: 2.5 -> 5.0",
)
def _(command):
    command.change(training__image_snapshot_ticks=3, training__network_snapshot_ticks=7)
    command.change(training__image_grid="4k", training__picture_budget_mb=5.0)


@row("any other field of the configuration", "refused", "refused", says="training.seed: 1000 -> 7")
def _(command):
    command.change(training__seed=7)


@row(
    "`--aug` or one of its options, `--freeze_D`",
    "refused",
    "refused",
    says="augment.aug: 'none' -> 'ada'; augment.aug_target: 0.6 -> 0.5",
)
def _(command):
    command.change(augment__aug="ada", augment__aug_target=0.5)


@row("the run is of a version without `--aug` and `--freeze_D`", "continues", "finished")
def _(command):
    stored = command.run / "config.json"
    fields = json.loads(stored.read_text())
    assert fields.pop("augment")["aug"] == "none"
    assert fields["training"].pop("freeze_D") == 0
    stored.write_text(json.dumps(fields))


@row("... back and forth: the value is the stored one again", "continues", "finished")
def _(command):
    command.change(training__seed=7)
    command.change(training__seed=1000)


@row("only the dataset's default of mirror_augment", "continues", "finished")
def _(command):
    command.change(dataset__mirror_augment=True)
    command.options["mirror_is_default"] = True


@row("the number of GPUs, with `--preset`", "refused", "refused", says="schedule.num_gpus: 1 -> 2")
def _(command):
    command.change(schedule__num_gpus=2)


@row(
    "the number of GPUs, without `--preset`: another v2 preset",
    "refused",
    "refused",
    preset="v2-8gpus",
    says="schedule.num_gpus: 1 -> 4.*--preset=v2-8gpus --allow_config_change",
)
def _(command):
    command.preset = "v2-4gpus"
    command.options["siblings"] = V2
    command.change(schedule__minibatch_base=16, schedule__num_gpus=4)


@row(
    "`--preset`",
    "begins, with a note",
    "begins",
    says="000-blocks-demo, on this dataset, is unfinished: --preset=demo continues it",
)
def _(command):
    command.preset = "v2-1gpu"
    command.change(schedule__minibatch_base=4)


@row("`--preset`, but every value is the same", "continues", "finished")
def _(command):
    command.preset = "celebahq-1024-wgangp"


@row("`--resume_pkl` again, with the same file and kimg", "continues", "finished", nimg=16)
def _(command):
    renamed = command.networks.rename(command.root / "renamed.h5")
    command.options["beginning"] = Beginning.of(renamed, 16)


@row(
    "`--resume_pkl` is left out",
    "continues, with a note",
    "finished, with a note",
    nimg=16,
    says="began with the networks of .*/networks.h5 at 0.016 kimg",
)
def _(command):
    del command.options["beginning"]


@row(
    "`--resume_pkl` is new",
    "refused",
    "refused",
    says="the networks at the start: new ones -> .*/networks.h5 at 0.016 kimg",
)
def _(command):
    command.options["beginning"] = Beginning.of(command.networks, 16)


@row(
    "the content of the file of `--resume_pkl`",
    "refused",
    "refused",
    nimg=16,
    says="at the start: .*/networks.h5 at 0.016 kimg -> .*/networks.h5 at 0.016 kimg",
)
def _(command):
    command.networks.write_bytes(b"others")
    command.options["beginning"] = Beginning.of(command.networks, 16)


@row(
    "`--resume_kimg`",
    "refused",
    "refused",
    nimg=16,
    says="at the start: .*/networks.h5 at 0.016 kimg -> .*/networks.h5 at 0.024 kimg",
)
def _(command):
    command.options["beginning"] = Beginning.of(command.networks, 24)


@row(
    "anything that is refused, with `--allow_config_change`",
    "continues, with a note",
    "refused",
    says="training.seed: 1000 -> 7",
)
def _(command):
    command.change(training__seed=7)
    command.options["allow_change"] = True


@row(
    "... and a longer `--total_kimg`",
    "continues, with a note",
    "continues, with a note",
    says="although the configuration was changed: training.seed: 1000 -> 7",
)
def _(command):
    command.change(training__seed=7, training__total_kimg=0.5)
    command.options["allow_change"] = True


@row("anything, with `--new`", "begins", "begins")
def _(command):
    command.options["new"] = True


@row("`--outdir`, or the working directory that it is relative to", "begins", "begins")
def _(command):
    command.outdir = command.root / "elsewhere"


@row("the run folder was copied to another `--outdir`", "continues", "finished")
def _(command):
    shutil.copytree(command.outdir, command.root / "copied")
    shutil.rmtree(command.outdir)
    command.outdir = command.root / "copied"


@row("the run folder was renamed, its number kept", "continues", "finished")
def _(command):
    command.run.rename(command.run.with_name("000-faces, the good one"))


@row("the run is of a version without identity.json", "continues", "finished")
def _(command):
    (command.run / identity.IDENTITY_FILE).unlink()


@row(
    "... and the dataset was moved, copied or renamed",
    "refused",
    "refused",
    says="dataset.path: .* -> .*/job-17' .the run has no record of its images",
)
def _(command):
    (command.run / identity.IDENTITY_FILE).unlink()
    command.path = command.path.rename(command.root / "job-17")


@row("config.json cannot be read", "refused", "refused", says="config.json: .*")
def _(command):
    (command.run / "config.json").write_text("{")


def outcome(command):
    """Runs the decision: -> its outcome in the words of the table, the line that says so."""
    before = sorted(path.name for path in command.outdir.glob("*"))
    try:
        opened = command.open()
    except ValueError as error:
        return "refused", [str(error)]
    notes = list(opened.notes)
    if opened.folder.name not in before:
        assert "a new run, in " in notes.pop(0)
        word = "begins"
    else:
        word = "finished" if opened.finished else "continues"
    return f"{word}, with a note" if notes else word, notes


@pytest.mark.parametrize("is_finished", [False, True], ids=["unfinished", "finished"])
@pytest.mark.parametrize("description", ROWS)
def test_a_command_does_what_its_cell_of_the_table_says(
    tmp_path, dataset_folder, config, description, is_finished
):
    change, *cells, says, preset, nimg, first = ROWS[description]
    shutil.copytree(dataset_folder, tmp_path / "blocks")
    command = Command(tmp_path, config)
    if first is not None:
        first(command)
    command.preset = preset
    if nimg is not None:
        command.options["beginning"] = Beginning.of(command.networks, nimg)
    command.run = command.open().folder
    (command.run / "checkpoint").mkdir()
    nimg = LENGTH if is_finished else TRAINED
    (command.run / "checkpoint" / f"checkpoint-{nimg:09d}.h5").touch()
    if is_finished:
        (command.run / "finished").touch()
    change(command)
    before = contents(tmp_path)
    found, lines = outcome(command)
    assert found == cells[is_finished]
    if lines:
        (line,) = lines
        assert re.search(says, line)
        assert "\n" not in line
        assert "--new" in line or found != "refused"
    # What was stored stays until training has begun.
    assert {
        path: content for path, content in contents(tmp_path).items() if path in before
    } == before


def contents(folder):
    """Content of all files by path."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path: path.read_bytes() for path in paths}


def test_the_docs_have_these_rows_and_cells():
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| what differs |") :].split("\n\n")[0]
    cells = [re.split(r" \| ", line.strip("| ")) for line in table.splitlines()[2:]]
    assert {line[0]: tuple(line[1:3]) for line in cells} == {
        description: (unfinished, finished)
        for description, (_, unfinished, finished, *_) in ROWS.items()
    }
