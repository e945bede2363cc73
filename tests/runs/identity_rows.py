"""The rows of the table of run identity: what differs from the stored run, and what follows."""

import json
import shutil

from pgtf.dataset import open_dataset
from pgtf.runs import continuation, identity
from pgtf.runs.choice import Request
from pgtf.runs.identity import Beginning
from tests.runs.changed_datasets import brighten, describe, with_values

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
