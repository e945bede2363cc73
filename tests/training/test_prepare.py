"""Preparation of a run: configuration, mirroring, given networks."""

import dataclasses
import shutil
import types

import numpy as np
import pytest

from pgtf import networks
from pgtf.config import FORMER_FIELDS, PRESETS, Config
from pgtf.dataset import open_dataset
from pgtf.networks import Discriminator, Generator
from pgtf.runs import continuation, run_folder
from pgtf.runs.choice import Request
from pgtf.runs.identity import Identity, Source
from pgtf.training import prepare
from pgtf.training.start import Start


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
    fitted, dataset = prepare.prepare(config.replace(changes), 1)
    assert dataset.mirror is mirror
    assert fitted.dataset.mirror_augment is (mirror if asked is None else asked)


@pytest.mark.parametrize("stored", [True, False])
def test_a_run_goes_on_with_the_value_it_began_with_unless_it_is_stated(
    tmp_path, config, dataset, stored
):
    began = config.replace({"dataset.mirror_augment": stored})
    now = config.replace({"dataset.mirror_augment": not stored})
    longer = now.replace({"training.total_kimg": 1.0})

    def asked(config, **options):
        return Request.of(tmp_path, "demo", config, dataset, **options)

    def chosen(config=now, is_default=True, **options):
        workers = types.SimpleNamespace(broadcast=lambda make: make())
        request = asked(config, mirror_is_default=is_default, **options)
        return prepare.with_stored_defaults(config, request, workers).dataset.mirror_augment

    folder = continuation.open_run(asked(began)).folder
    for _ in range(2):  # unfinished, then finished
        assert chosen() is stored
        assert chosen(longer) is stored
        assert chosen(new=True) is not stored
        with pytest.raises(ValueError, match="mirror_augment: .*--new"):
            chosen(is_default=False)
        with pytest.raises(ValueError, match=r"configuration: training.seed: 1000 -> 7\."):
            chosen(now.replace({"training.seed": 7}))
        assert chosen(longer.replace({"training.seed": 7}), allow_change=True) is stored
        assert chosen(longer, is_default=False, allow_change=True) is not stored
        run_folder.mark_finished(folder)


def test_all_workers_take_the_value_of_the_chief(tmp_path, config, dataset):
    chiefs = config.replace({"dataset.mirror_augment": True}).to_json().encode()
    sent = types.SimpleNamespace(broadcast=lambda make: chiefs)
    request = Request.of(tmp_path, "demo", config, dataset)
    assert prepare.with_stored_defaults(config, request, sent).dataset.mirror_augment is True


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
def test_given_networks_are_trained_in_any_precision(config, precision):
    """Half precision raises the epsilon of pixel norm, which is no difference to the dataset."""
    G, D = (
        kind(**dataclasses.asdict(dataclasses.replace(options, fmap_max=4)), seed=1)
        for kind, options in ((Generator, config.G), (Discriminator, config.D))
    )
    asked = config.replace({"training.precision": precision, "dataset.max_label_size": 0})
    fitted, _ = prepare.prepare(asked, 1, Start(G, D, G, 500, "begun.h5"))
    epsilon = 1e-8 if precision == "fp32" else 1e-4
    assert fitted.G == dataclasses.replace(G.config, pixelnorm_epsilon=epsilon)
    assert (fitted.D, fitted.training.precision) == (D.config, precision)


def test_networks_of_another_size_than_the_datasets_are_refused_with_the_fields(config, dataset):
    options = dataclasses.replace(config.G, resolution=4), dataclasses.replace(config.D)
    G, D = (networks.build(each, seed=1) for each in options)
    message = r"`--resume_pkl` must hold .* Received: begun.h5 with G.resolution: 4 -> 8\."
    with pytest.raises(ValueError, match=message):
        prepare.prepare(config, 1, Start(G, D, G, 0, "begun.h5"))


def test_a_fitted_schedule_is_part_of_the_configuration_by_value(config, dataset):
    fitted, _ = prepare.prepare(config, 1, fit_schedule=True)
    assert fitted.schedule == fitted.schedule.fitted(0.288)
    assert fitted.schedule.lod_training_kimg == fitted.schedule.lod_transition_kimg == 0.115
    again = Config.from_json(fitted.to_json())
    assert again == fitted
    assert prepare.prepare(config, 1)[0].schedule.lod_training_kimg == 0.064


@pytest.fixture
def continued(tmp_path, config, dataset):
    """Begins a run, and returns (configuration, former values) -> that with which it goes on."""
    workers = types.SimpleNamespace(broadcast=lambda make: make())

    def begin(began):
        continuation.open_run(Request.of(tmp_path, "demo", began, dataset))

        def chosen(config, former):
            request = Request.of(tmp_path, "demo", config, dataset, former=former)
            return prepare.with_stored_defaults(config, request, workers)

        return chosen

    return begin


def test_a_run_of_a_presets_earlier_version_keeps_its_values_unless_they_are_stated(
    config, continued
):
    former = {"training.G_smoothing": 0.9, "schedule.minibatch_dict": {}}
    began = config.replace(former)
    now = config.replace({"training.G_smoothing": 0.5, "schedule.minibatch_dict": {4: 4}})
    chosen = continued(began)
    assert chosen(now, [former]) == began
    longer = now.replace({"training.total_kimg": 1.0})
    assert chosen(longer, [former]).training.G_smoothing == 0.9
    with pytest.raises(ValueError, match=r"G_smoothing: 0.9 -> 0.5.*--new"):
        chosen(now, [{"schedule.minibatch_dict": {}}])
    with pytest.raises(ValueError, match=r"G_smoothing: 0.9 -> 0.5.*--new"):
        chosen(now, [{"training.G_smoothing": 0.8, "schedule.minibatch_dict": {}}])


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("version", [None, 0, 1, 2])
def test_each_run_keeps_the_values_of_its_own_version_of_a_preset(
    version, order, config, continued
):
    """The second version has the first one's minibatches, and the third has its average."""
    average, minibatches = "training.G_smoothing", "schedule.minibatch_dict"
    versions = [{average: 0.9, minibatches: {}}, {minibatches: {}}, {average: 0.9}]
    now = config.replace({average: 0.5, minibatches: {4: 4}})
    began = now if version is None else now.replace(versions[version])
    assert continued(began)(now, versions[::order]) == began


@pytest.mark.parametrize("version", range(len(FORMER_FIELDS["demo"])))
def test_the_demos_earlier_versions_are_told_apart_whatever_is_stated(version):
    """A run is continued by its own command, also if flags state some of the fields."""
    versions, now = FORMER_FIELDS["demo"], PRESETS["demo"]
    began = now.replace(versions[version])
    source = Source("/d", "0")
    for stated in (None, *versions[version]):
        named = {stated: versions[version][stated]} if stated else {}
        left = [{k: v for k, v in each.items() if k != stated} for each in versions]
        asked = Identity(now.replace(named), source, former=left)
        assert asked.config_in(Identity(began, source)) == began
