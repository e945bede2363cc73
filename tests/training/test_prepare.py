"""Preparation of a run: configuration, mirroring, networks of a file."""

import dataclasses
import shutil
import types

import numpy as np
import pytest

from pgtf import interop
from pgtf.dataset import open_dataset
from pgtf.networks import Discriminator, Generator
from pgtf.runs import continuation, run_folder
from pgtf.training import prepare


def workers_of(chiefs, num_elsewhere=0):
    """Imitates workers whose chief has this configuration; `summed` lists what each one sent."""
    summed = []

    def total(values):
        summed.append(values)
        return (np.array(values) + num_elsewhere).tolist()

    return types.SimpleNamespace(
        broadcast=lambda make: chiefs.to_json().encode(), all_reduce_sum=total, summed=summed
    )


def test_workers_with_one_configuration_may_train_and_tell_each_other_of_no_difference(config):
    workers = workers_of(config)
    prepare.check_workers(config, workers)
    assert workers.summed == [[0]]


def test_a_worker_tells_the_others_how_many_fields_differ(config):
    mine = config.replace({"training.seed": 7, "G.fmap_max": 4})
    workers = workers_of(config)
    with pytest.raises(ValueError, match="same on all workers"):
        prepare.check_workers(mine, workers)
    assert workers.summed == [[2]]


def test_a_worker_with_another_configuration_is_refused_with_the_differences(config):
    mine = config.replace({"training.seed": 7})
    with pytest.raises(ValueError, match="same on all workers.*training.seed: 1000 -> 7"):
        prepare.check_workers(mine, workers_of(config))


def test_the_others_are_refused_with_it(config):
    with pytest.raises(ValueError, match="same on all workers. Received: that of the chief"):
        prepare.check_workers(config, workers_of(config, num_elsewhere=1))


def named(dataset_folder, tmp_path, name):
    """A copy of the blocks in a folder of this name, and a configuration for it."""
    shutil.copytree(dataset_folder, tmp_path / name)
    return {"dataset.path": str(tmp_path / name), "dataset.max_label_size": 0}


@pytest.mark.parametrize(("name", "mirror"), [("celebahq", True), ("blocks", False)])
@pytest.mark.parametrize("asked", [None, True, False])
def test_mirror_augment_is_the_datasets_unless_it_is_stated(
    dataset_folder, tmp_path, config, name, mirror, asked
):
    changes = named(dataset_folder, tmp_path, name) | {"dataset.mirror_augment": asked}
    fitted, dataset, _ = prepare.prepare(config.replace(changes), 1)
    assert dataset.mirror is mirror
    assert fitted.dataset.mirror_augment is (mirror if asked is None else asked)


@pytest.mark.parametrize("stored", [True, False])
def test_a_run_goes_on_with_the_value_it_began_with_unless_it_is_stated(
    tmp_path, config, dataset, stored
):
    began = config.replace({"dataset.mirror_augment": stored})
    now = config.replace({"dataset.mirror_augment": not stored})
    folder = continuation.open_run(tmp_path, "demo", began, dataset).folder

    def chosen(config=now, asked=None, **options):
        workers = types.SimpleNamespace(broadcast=lambda make: make())
        begun = prepare.with_stored_mirror(
            asked, workers, tmp_path, "demo", config, dataset, **options
        )
        return begun.dataset.mirror_augment

    assert chosen() is stored
    assert chosen(asked=not stored) is not stored
    assert chosen(new=True) is not stored
    other = now.replace({"training.seed": 7})
    for _ in range(2):  # unfinished, then finished: other differences are refused, or allowed
        assert chosen() is stored
        assert chosen(other) is stored
        assert chosen(other, allow_change=True) is stored
        run_folder.mark_finished(folder)
    second = continuation.open_run(tmp_path, "demo", other, dataset, new=True).folder
    run_folder.mark_finished(second)
    assert chosen(other) is not stored
    assert chosen() is stored  # the first run, which is finished


def test_all_workers_take_the_value_of_the_chief(tmp_path, config, dataset):
    sent = types.SimpleNamespace(broadcast=lambda make: b"true")
    for asked in (None, False):
        begun = prepare.with_stored_mirror(asked, sent, tmp_path, "demo", config, dataset)
        assert begun.dataset.mirror_augment is True


def test_one_line_says_whether_reals_are_mirrored_and_why(dataset_folder, tmp_path, config):
    named(dataset_folder, tmp_path, "celebahq")
    dataset = open_dataset(tmp_path / "celebahq", max_label_size=0)
    on, off = (config.replace({"dataset.mirror_augment": value}) for value in (True, False))
    default = "the original release's default for a dataset named celebahq"
    assert prepare.describe_mirror(on, None, dataset) == f"Mirror augmentation: on ({default})"
    assert (
        prepare.describe_mirror(off, "preset demo", dataset)
        == "Mirror augmentation: off (stated by preset demo)"
    )
    kept = prepare.describe_mirror(off, None, dataset)
    assert kept.startswith(f"Mirror augmentation: off (as this run began; on is {default}. ")
    assert kept.endswith("--allow_config_change --config.dataset.mirror_augment=true)")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_networks_of_a_file_are_trained_in_any_precision(config, dataset, tmp_path, precision):
    """Half precision raises the epsilon of pixel norm, which is no difference to the dataset."""
    G, D = (
        kind(**dataclasses.asdict(dataclasses.replace(options, fmap_max=4)), seed=1)
        for kind, options in ((Generator, config.G), (Discriminator, config.D))
    )
    path = tmp_path / "network.h5"
    interop.save_snapshot(path, G, D, G)
    asked = config.replace({"training.precision": precision, "dataset.max_label_size": 0})
    fitted, _, start = prepare.prepare(asked, 1, resume_pkl=str(path), resume_kimg=0.5)
    epsilon = 1e-8 if precision == "fp32" else 1e-4
    assert fitted.G == dataclasses.replace(G.config, pixelnorm_epsilon=epsilon)
    assert (fitted.D, fitted.training.precision) == (D.config, precision)
    assert start[3] == 500
    for network, stored in zip(start, (G, D, G), strict=False):
        for name, variable in network.variables_by_name.items():
            np.testing.assert_array_equal(variable, stored.variables_by_name[name])
