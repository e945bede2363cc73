"""The dataset of a stored run, from any working directory."""

import shutil

import pytest

from pgtf.dataset import open_dataset
from pgtf.runs import continuation
from pgtf.runs.choice import Request
from pgtf.runs.datasets import open_dataset_of
from tests.runs.changed_datasets import brighten, describe, with_values


@pytest.fixture
def there(tmp_path, dataset_folder, monkeypatch):
    """The working directory of a training, with its dataset."""
    shutil.copytree(dataset_folder, tmp_path / "there" / "datasets" / "blocks")
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path / "there"


@pytest.fixture
def options(config):
    return config.replace({"dataset.path": "datasets/blocks"}).dataset


@pytest.fixture
def run(there, config):
    """A run that was trained there with a relative path."""
    return begin(there, config)


def begin(there, config):
    dataset = open_dataset("datasets/blocks", max_label_size=0)
    config = config.replace({"dataset.path": "datasets/blocks"})
    request = Request.of(there / "results", "demo", config, dataset)
    return continuation.open_run(request).folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "datasets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def test_the_dataset_of_a_run_is_where_its_configuration_says(run, options):
    dataset = open_dataset_of(run, options, "full")
    assert (dataset.path, dataset.label_size) == ("datasets/blocks", 4)


def test_from_another_working_directory_it_is_where_training_read_it(
    run, options, there, elsewhere
):
    assert open_dataset_of(run, options, 0).path == str(there / "datasets" / "blocks")


def test_a_dataset_of_the_same_relative_path_is_not_taken_for_it(run, options, there, elsewhere):
    shutil.copytree(there / "datasets" / "blocks", elsewhere / "datasets" / "blocks")
    assert open_dataset_of(run, options, 0).path == "datasets/blocks"  # the same images
    brighten(elsewhere / "datasets" / "blocks")
    assert open_dataset_of(run, options, 0).path == str(there / "datasets" / "blocks")


def test_a_copied_project_uses_its_own_dataset(run, options, there, elsewhere):
    (elsewhere / "datasets").rmdir()
    shutil.copytree(there, elsewhere, dirs_exist_ok=True)
    shutil.rmtree(there)
    run = elsewhere / "results" / run.name
    assert open_dataset_of(run, options, 0).path == "datasets/blocks"


def test_a_dataset_in_neither_place_is_one_line_that_names_both(run, options, there, elsewhere):
    (there / "datasets" / "blocks").rename(there / "datasets" / "moved")
    with pytest.raises(ValueError, match=r"datasets/blocks: no such .*--dataset") as caught:
        open_dataset_of(run, options, 0)
    assert f"{there}/datasets/blocks: no such dataset" in str(caught.value)


def test_other_images_in_its_place_are_refused(run, options):
    brighten("datasets/blocks")
    with pytest.raises(
        ValueError, match=f"datasets/blocks: other images than .* {run} .*--dataset"
    ) as caught:
        open_dataset_of(run, options, 0)
    assert str(caught.value).count("other images") == 1  # Both names are of one place.


def test_values_on_another_scale_in_its_place_are_refused(there, config, options):
    with_values("datasets/blocks")
    run = begin(there, config)
    assert open_dataset_of(run, options, 0).value_range == (0, 65535)
    describe("datasets/blocks", range=[0, 4095])
    with pytest.raises(ValueError, match=f"another `range` in dataset.json .* {run} was trained"):
        open_dataset_of(run, options, 0)


def test_a_run_without_a_record_of_its_images_uses_its_path(run, options, elsewhere):
    (run / "identity.json").unlink()
    with pytest.raises(ValueError, match=r"datasets/blocks: no such dataset folder\. .*--dataset"):
        open_dataset_of(run, options, 0)


def test_a_part_of_the_levels_or_of_the_labels_is_no_other_dataset(run, config):
    half = config.replace({"dataset.path": "datasets/blocks", "dataset.resolution": 4}).dataset
    assert open_dataset_of(run, half, "full").resolution == 4
