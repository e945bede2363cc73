"""The run that a command continues."""

import concurrent.futures
import json
import shutil
import time

import pytest

from pgtf.dataset import open_dataset
from pgtf.runs import continuation, run_folder
from pgtf.runs.identity import Beginning, Source
from tests.runs.changed_datasets import brighten


def finish(folder, nimg=288):
    """Leaves in a folder what a run that showed `nimg` images would."""
    (folder / "checkpoint").mkdir(exist_ok=True)
    (folder / "checkpoint" / f"checkpoint-{nimg:09d}.h5").touch()
    (folder / "finished").touch()


def test_runs_are_numbered_and_found_again_by_dataset_preset_and_configuration(
    start, dataset_folder, config, tmp_path
):
    assert start() == ("000-blocks-demo", False)
    assert start() == ("000-blocks-demo", False)
    shutil.copytree(dataset_folder, tmp_path / "faces")
    brighten(tmp_path / "faces", 3)
    assert start(dataset=open_dataset(tmp_path / "faces", max_label_size=0))[0] == "001-faces-demo"
    other = config.replace({"schedule.minibatch_base": 4})
    assert start("v2-1gpu", other)[0] == "002-blocks-v2-1gpu"


def test_new_starts_another_run(start):
    assert start() == ("000-blocks-demo", False)
    assert start(new=True) == ("001-blocks-demo", False)


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_changed_configuration_is_refused_with_the_difference(start, folder, config, is_finished):
    if is_finished:
        finish(folder)
    changed = config.replace({"training.seed": 7, "training.total_kimg": 9.0})
    stage = "finished" if is_finished else "unfinished"
    with pytest.raises(
        ValueError, match=rf" is {stage} and .*: training.seed: 1000 -> 7\. .*--new"
    ):
        start(config=changed)
    assert [path.name for path in folder.parent.iterdir()] == ["000-blocks-demo"]


def test_a_finished_run_is_reported_even_after_a_newer_one(start, folder, config):
    finish(folder)
    changed = config.replace({"training.seed": 7})
    assert start(config=changed, new=True) == ("001-blocks-demo", False)
    assert start() == ("000-blocks-demo", True)
    finish(folder.with_name("001-blocks-demo"))
    assert start() == ("000-blocks-demo", True)


def test_a_changed_configuration_becomes_that_of_the_run_only_when_it_is_accepted(
    start, folder, config, dataset
):
    finish(folder)
    changed = config.replace({"training.seed": 7, "training.total_kimg": 0.5})
    assert start(config=changed, allow_change=True) == (folder.name, False)
    assert start() == (folder.name, True)
    run_folder.accept_config(folder, changed, Source.of(dataset))
    assert start(config=changed) == (folder.name, False)


def test_a_finished_run_is_not_given_a_configuration_with_which_nothing_was_trained(
    start, folder, config
):
    finish(folder)
    changed = config.replace({"training.seed": 7})
    with pytest.raises(ValueError, match=r"to 0.288 kimg already, .*seed: 1000 -> 7.*--total_kimg"):
        start(config=changed, allow_change=True)
    assert start() == (folder.name, True)


@pytest.mark.parametrize(
    ("trained", "is_finished", "asked", "is_enough", "line"),
    [
        (288, True, 0.5, False, "continuing to 0.5 kimg instead of 0.288"),
        (288, True, 0.2, True, "was trained to 0.288 kimg already, 0.2 are asked"),
        (96, False, 0.5, False, "continuing to 0.5 kimg instead of 0.288"),
        (96, False, 0.1, False, "continuing to 0.1 kimg instead of 0.288"),
        (96, False, 0.096, True, "was trained to 0.096 kimg already, 0.096 are asked"),
    ],
)
def test_another_length_continues_the_run_or_is_reached_already(
    start, folder, config, caplog, trained, is_finished, asked, is_enough, line
):
    finish(folder, trained)
    if not is_finished:
        (folder / "finished").unlink()
    with caplog.at_level("INFO", logger="absl"):
        found = start(config=config.replace({"training.total_kimg": asked}))
    assert found == (folder.name, is_enough)
    assert line in caplog.text


@pytest.mark.parametrize("is_finished", [False, True])
def test_other_pictures_and_snapshots_are_no_other_run(start, folder, config, caplog, is_finished):
    if is_finished:
        finish(folder)
    changes = {"image_snapshot_ticks": 3, "network_snapshot_ticks": 7, "image_grid": "4k"}
    changes |= {"picture_budget_mb": 5.0}
    changed = config.replace({f"training.{name}": value for name, value in changes.items()})
    with caplog.at_level("INFO", logger="absl"):
        assert start(config=changed) == (folder.name, is_finished)
    said = (
        f"{folder}: from now on training.image_snapshot_ticks: 1 -> 3; training.image_grid: "
        "'small' -> '4k'; training.picture_budget_mb: 2.5 -> 5.0; training.network_snapshot_ticks: "
        "1 -> 7"
    )
    assert (said in caplog.text) == (not is_finished)
    with pytest.raises(
        ValueError, match=r"configuration: training.jit: 'auto' -> 'off'\. Continue"
    ):
        start(config=changed.replace({"training.jit": "off"}))


def test_of_two_runs_that_only_differ_in_length_the_asked_one_is_found(start, folder, config):
    finish(folder)
    longer = config.replace({"training.total_kimg": 0.5})
    assert start(config=longer, new=True) == ("001-blocks-demo", False)
    assert start() == ("000-blocks-demo", True)
    assert start(config=longer) == ("001-blocks-demo", False)


@pytest.mark.parametrize("is_finished", [False, True])
@pytest.mark.parametrize("spelling", ["slash", "relative", "link", "moved", "renamed"])
def test_a_run_is_found_again_however_its_dataset_is_spelled(
    start, folder, dataset_folder, tmp_path, monkeypatch, caplog, spelling, is_finished
):
    path, moved = f"{dataset_folder}/", spelling in ("moved", "renamed")
    if spelling == "relative":
        monkeypatch.chdir(dataset_folder.parent)
        path = dataset_folder.name
    if spelling == "link":
        path = tmp_path / "blocks"
        path.symlink_to(dataset_folder)
    if moved:
        path = tmp_path / ("job-17/blocks" if spelling == "moved" else "17")
        shutil.copytree(dataset_folder, path)
    if is_finished:
        finish(folder)
    with caplog.at_level("INFO", logger="absl"):
        found = start(dataset=open_dataset(path, max_label_size=0))
    assert found == (folder.name, is_finished)
    said = f"the dataset moved: continuing with {path} instead of {dataset_folder}"
    assert (said in caplog.text) == (moved and not is_finished)


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_dataset_whose_content_changed_under_its_path_is_refused(
    start, dataset_folder, config, tmp_path, is_finished
):
    path = tmp_path / "blocks"
    shutil.copytree(dataset_folder, path)
    name, _ = start(dataset=open_dataset(path, max_label_size=0))
    if is_finished:
        finish(tmp_path / "results" / name)
    brighten(path, 39)
    changed = open_dataset(path, max_label_size=0)
    with pytest.raises(ValueError, match=f"the content of the dataset {path} was changed"):
        start(dataset=changed)
    longer = config.replace({"training.total_kimg": 0.5})
    assert start(config=longer, dataset=changed, allow_change=True) == (name, False)


def test_a_dataset_changed_in_its_place_is_refused_though_the_run_was_renamed(
    start, dataset_folder, tmp_path
):
    path = tmp_path / "blocks"
    shutil.copytree(dataset_folder, path)
    name, _ = start(dataset=open_dataset(path, max_label_size=0))
    (tmp_path / "results" / name).rename(tmp_path / "results" / "000-the good one")
    brighten(path)
    with pytest.raises(
        ValueError, match=f"000-the good one is .*content of the dataset {path} was"
    ):
        start(dataset=open_dataset(path, max_label_size=0))


def test_another_dataset_of_the_same_name_elsewhere_is_trained_on_when_that_is_asked_for(
    start, folder, dataset_folder, tmp_path
):
    path = tmp_path / "other" / "blocks"
    shutil.copytree(dataset_folder, path)
    brighten(path, 0)
    other = open_dataset(path, max_label_size=0)
    with pytest.raises(
        ValueError, match=f"unfinished .*dataset.path: .* -> '{path}' .other images"
    ):
        start(dataset=other)
    finish(folder)
    assert start(dataset=other, new=True) == ("001-blocks-demo", False)
    assert start() == ("000-blocks-demo", True)
    assert start(dataset=other) == ("001-blocks-demo", False)


def test_a_run_of_before_there_were_fingerprints_is_found_by_the_path(
    start, folder, dataset_folder, tmp_path
):
    (folder / "identity.json").unlink()
    assert start(dataset=open_dataset(f"{dataset_folder}/", max_label_size=0))[0] == folder.name
    finish(folder)
    shutil.copytree(dataset_folder, tmp_path / "blocks")
    with pytest.raises(ValueError, match="finished .*dataset.path: .*--new"):
        start(dataset=open_dataset(tmp_path / "blocks", max_label_size=0))


def test_another_resolution_of_the_same_dataset_is_no_other_content(
    start, folder, dataset_folder, config
):
    half = open_dataset(dataset_folder, resolution=4, max_label_size="full")
    changed = config.replace({"dataset.resolution": 4})
    with pytest.raises(ValueError, match=r"configuration: dataset.resolution: None -> 4\. "):
        start(config=changed, dataset=half)


def test_a_copy_of_a_run_beside_it_is_not_continued_in_its_place(start, folder, caplog):
    shutil.copytree(folder, folder.with_name("000-blocks-demo.bak"))
    shutil.copytree(folder, folder.with_name("007-of yesterday"))
    with caplog.at_level("INFO", logger="absl"):
        assert start() == (folder.name, False)
    unfinished = [record.getMessage() for record in caplog.records]
    assert [line.partition(" is unfinished too")[0][-8:] for line in unfinished] == [
        "esterday",
        "demo.bak",
    ]


def test_of_equal_runs_the_newest_is_continued_and_the_others_are_named(start, folder, caplog):
    start(new=True)
    start(new=True)
    finish(folder.with_name("001-blocks-demo"))
    with caplog.at_level("INFO", logger="absl"):
        assert start() == ("002-blocks-demo", False)
    (line,) = caplog.messages
    assert f"{folder} is unfinished too" in line
    assert "--outdir" in line


def test_a_run_with_the_stated_value_comes_before_one_that_would_keep_another(
    start, folder, config
):
    mirrored = config.replace({"dataset.mirror_augment": True})
    assert start(config=mirrored, new=True) == ("001-blocks-demo", False)
    assert start(mirror_is_default=True) == ("000-blocks-demo", False)
    assert start(config=mirrored, mirror_is_default=True) == ("001-blocks-demo", False)


def test_a_command_without_a_file_of_networks_means_a_run_that_began_without_one(start, folder):
    given = Beginning("0" * 64, 16, "/some/networks.h5")
    assert start(beginning=given, new=True) == ("001-blocks-demo", False)
    assert start() == ("000-blocks-demo", False)
    assert start(beginning=given) == ("001-blocks-demo", False)


def test_a_run_whose_presets_name_is_unknown_is_known_by_the_end_of_its_folders_name(
    start, folder, config, dataset
):
    content = json.loads((folder / "identity.json").read_text()) | {"preset": None}
    (folder / "identity.json").write_text(json.dumps(content))
    changed = config.replace({"training.seed": 7})
    with pytest.raises(ValueError, match="training.seed: 1000 -> 7"):
        start(config=changed)
    run_folder.accept_config(folder, config, Source.of(dataset), "demo")
    assert json.loads((folder / "identity.json").read_text())["preset"] == "demo"


def test_a_damaged_run_of_something_else_is_not_in_the_way(start, folder, tmp_path):
    for name in ("001-faces-demo", "002-blocks-v2-1gpu"):
        (folder.parent / name).mkdir()
        (folder.parent / name / "config.json").write_text("{")
    assert start() == (folder.name, False)


@pytest.mark.parametrize("name", ["new\nline", "bell\a", "caf\u00e9 ?*[]"])
def test_a_run_is_found_again_whatever_the_name_of_its_dataset(
    start, dataset_folder, tmp_path, name, caplog
):
    parent = tmp_path / name
    parent.mkdir()
    shutil.copytree(dataset_folder, parent / name)
    for path in (parent / name).iterdir():  # as create commands name them
        path.rename(path.with_name(path.name.replace("blocks", name)))
    dataset = open_dataset(parent / name, max_label_size=0)
    with caplog.at_level("INFO", logger="absl"):
        first = start(dataset=dataset)
        assert start(dataset=dataset) == first
        (parent / name).rename(tmp_path / "moved")
        assert start(dataset=open_dataset(tmp_path / "moved", max_label_size=0)) == first
    assert first[0].isprintable()
    assert not [line for line in caplog.messages if "\n" in line]


def test_a_folder_of_an_earlier_version_with_a_new_line_in_its_name_is_found(start, folder):
    odd = folder.rename(folder.with_name("000-new\nline-demo"))
    assert start() == (odd.name, False)


def test_a_mark_of_the_end_that_is_no_file_is_one_line(start, folder):
    (folder / "finished").mkdir()
    with pytest.raises(ValueError, match="finished: must be a file, which train.py writes"):
        start()


def test_runs_that_begin_at_the_same_time_get_numbers_of_their_own(tmp_path, start, monkeypatch):
    store = continuation.store_config
    monkeypatch.setattr(continuation, "store_config", lambda *args: time.sleep(0.1) or store(*args))
    presets = ["a", "b", "a", "c"]
    with concurrent.futures.ThreadPoolExecutor(len(presets)) as pool:
        runs = [pool.submit(start, preset, new=True) for preset in presets]
        names = sorted(run.result()[0] for run in runs)
    assert [name[:4] for name in names] == ["000-", "001-", "002-", "003-"]
    assert sorted(name[11:] for name in names) == sorted(presets)


def test_a_process_killed_while_it_made_the_folder_leaves_nothing_in_the_way(
    tmp_path, start, monkeypatch
):
    def killed(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(continuation, "store_config", killed)
        with pytest.raises(KeyboardInterrupt):
            start()
    assert start() == ("000-blocks-demo", False)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["000-blocks-demo"]
    assert (tmp_path / "results" / "000-blocks-demo" / "config.json").exists()


@pytest.mark.parametrize("name", ["", "thesis.txt", "config.json/x"])
def test_a_run_is_not_made_where_something_else_lies(name, start, tmp_path):
    place = tmp_path / "results" / ".000-blocks-demo.tmp" / name
    place.parent.mkdir(parents=True)
    place.write_text("precious")
    with pytest.raises(ValueError, match="000-blocks-demo.tmp: is not what a killed process left"):
        start()
    assert place.read_text() == "precious"


def test_a_run_is_not_made_through_a_link(start, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / ".000-blocks-demo.tmp").symlink_to(elsewhere)
    name, _ = start()
    assert not (tmp_path / "results" / name).is_symlink()
    assert list(elsewhere.iterdir()) == []
