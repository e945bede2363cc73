import dataclasses
import json
import typing

import pytest

from pgtf.config import PRESETS, Config, describe, documentation, fields, parse

TABLE = "a table such as 256:16,512:8, or none for an empty one"
KINDS = dict(fields(Config()))


def defaults():
    """{dotted name: default} of every field."""
    config = Config()
    return {
        f"{group.name}.{field.name}": getattr(getattr(config, group.name), field.name)
        for group in dataclasses.fields(config)
        for field in dataclasses.fields(getattr(config, group.name))
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_comes_back_equal_from_json(preset):
    assert Config.from_json(PRESETS[preset].to_json()) == PRESETS[preset]


def test_a_value_of_every_field_comes_back_from_json():
    odd = {}  # differs from the default in each field
    for name, default in defaults().items():
        if isinstance(default, bool):
            odd[name] = not default
        elif isinstance(default, int):
            odd[name] = default * 2 + 2
        elif isinstance(default, float):
            odd[name] = default / 3 + 0.1
        elif isinstance(default, dict):
            odd[name] = {8: default.get(8, 0) * 2 + 1, 64: 3}
        elif default is None:
            odd[name] = True if bool in typing.get_args(KINDS[name]) else 64
        elif typing.get_origin(KINDS[name]) is typing.Literal:
            odd[name] = next(word for word in typing.get_args(KINDS[name]) if word != default)
        else:
            odd[name] = "some folder/50% 'of' it"
    odd |= {
        "augment.aug": "ada",
        "augment.aug_p": 0.25,
        "G.grid": "5x4",
        "D.grid": "5x4",
        "G.resolution": 64,
        "D.resolution": 64,
        "schedule.lod_initial_resolution": 8,
    }
    # Each structure of D has options that the other lacks.
    small = odd | {"D.mbdisc_kernels": None}
    paper = odd | {"D.structure": "paper", "D.progressive": True, "D.fmap_divisor": 1}
    differences = set()
    for changes in (small, paper):
        config = Config().replace(changes)
        differences |= {line.split(":")[0] for line in config.differences(Config())}
        assert Config.from_json(config.to_json()) == config
    assert differences == KINDS.keys()


def test_json_keeps_the_order_of_the_fields_and_the_integer_keys_of_tables():
    read = json.loads(PRESETS["v1-1gpu"].to_json())
    assert [f"{group}.{field}" for group in read for field in read[group]] == list(KINDS)
    again = Config.from_json(json.dumps(read))
    assert again.schedule.minibatch_dict == {256: 14, 512: 6, 1024: 3}


def test_labels_of_runs_from_before_kinds_of_labels_were_known_are_classes():
    written = json.loads(Config().to_json())
    assert Config.from_fields(written, "x").loss.label_kinds == "dataset"
    del written["loss"]["label_kinds"]
    assert Config.from_fields(written, "x").loss.label_kinds == "class"


def test_fields_that_json_leaves_out_get_their_defaults():
    config = Config.from_json('{"schedule": {"minibatch_base": 5}}')
    assert config == Config().replace({"schedule.minibatch_base": 5})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schedule": {"minibatch_bose": 5}}', "Did you mean `schedule.minibatch_base`"),
        ('{"sched": {"minibatch_base": 5}}', "`sched.minibatch_base`. Did you mean `schedule."),
        ('{"training": {"seed": 1.5}}', "`--config.training.seed` must be an integer.*'1.5'"),
        ('{"training": {"seed": true}}', "training.seed` must be an integer.*'true'"),
        ('{"training": {"seed": [1]}}', "training.seed` must be an integer"),
        ('{"training": {"total_kimg": NaN}}', "training.total_kimg` must be a number.*'NaN'"),
        ('{"G": {"use_wscale": 2}}', "G.use_wscale` must be true or false.*'2'"),
        ('{"dataset": {"path": null}}', "`dataset.path` must be text. Received: null"),
        ('{"schedule": {"G_lrate_dict": [4]}}', "G_lrate_dict` must be a table"),
        ('{"schedule": {"G_lrate_dict": {"a": 1}}}', "G_lrate_dict` must be a table"),
        ('{"schedule": 5}', "JSON object of objects"),
        ("[]", "JSON object of objects"),
        ("{", "line 1"),
    ],
)
def test_json_that_is_no_configuration_is_refused_naming_the_field(text, message):
    with pytest.raises(ValueError, match=message):
        Config.from_json(text)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("schedule.minibatchbase", "schedule.minibatch_base"),
        ("traning.seed", "training.seed"),
        ("G.fmapmax", "G.fmap_max"),
        ("mbstd_group_size", "D.mbstd_group_size"),
        ("training.G_smoothing.", "training.G_smoothing"),
        ("", None),
    ],
)
def test_an_unknown_field_is_refused_naming_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=f"no configuration field `{name}`. Did you mean") as e:
        Config().replace({name: 1})
    assert nearest is None or f"`{nearest}`" in str(e.value)


def test_replacing_changes_the_named_fields_of_a_copy_only():
    config = Config()
    changed = config.replace({"G.fmap_max": 7, "G.fmap_base": 9, "loss.wgan_target": 750.0})
    assert (changed.G.fmap_max, changed.G.fmap_base, changed.loss.wgan_target) == (7, 9, 750)
    assert config == Config()
    assert (
        changed.replace({"G.fmap_max": 512, "G.fmap_base": 8192, "loss.wgan_target": 1}) == config
    )


def test_differences_are_one_line_a_field_from_the_old_to_the_new_value():
    new = Config().replace({"training.seed": 5, "dataset.path": "x"})
    assert Config().differences(new) == [
        "dataset.path: 'datasets/demo' -> 'x'",
        "training.seed: 1000 -> 5",
    ]
    assert new.differences(new) == []


def test_a_fitted_configuration_has_the_shape_of_the_dataset_in_both_networks():
    config = Config().for_dataset(resolution_log2=7, num_channels=3, label_size=10, num_gpus=4)
    for network in (config.G, config.D):
        assert (network.resolution, network.num_channels, network.label_size) == (128, 3, 10)
    assert (config.schedule.resolution_log2, config.schedule.num_gpus) == (7, 4)
    assert config.dataset.mirror_augment is False
    assert len(config.differences(Config())) == 9


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("training.seed", "12", 12),
        ("training.total_kimg", "1e3", 1000.0),
        ("training.total_kimg", "7", 7.0),
        ("G.use_wscale", "false", False),
        ("G.use_wscale", "True", True),
        ("G.use_wscale", "0", False),
        ("G.latent_size", "none", None),
        ("G.latent_size", "128", 128),
        ("dataset.path", "none", "none"),
        ("dataset.max_label_size", "full", "full"),
        ("D.mbstd_group_size", "all", "all"),
        ("D.mbstat_avg", "none", "none"),
        ("G.tanh_at_end", "none", None),
        ("loss.kind", "lsgan", "lsgan"),
        ("dataset.max_label_size", "3", 3),
        ("dataset.max_label_size", "None", None),
        ("schedule.minibatch_dict", "256:14,512:6", {256: 14, 512: 6}),
        ("schedule.minibatch_dict", "", {}),
        ("schedule.minibatch_dict", "none", {}),
        ("schedule.minibatch_dict", "None", {}),
        ("schedule.minibatch_dict", "{}", {}),
        ("schedule.G_lrate_dict", "8:1e-3", {8: 0.001}),
    ],
)
def test_flags_become_values_of_their_fields_types(name, text, value):
    parsed = parse(name, text, KINDS[name])
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("training.seed", "1.5", "an integer"),
        ("training.seed", "none", "an integer"),
        ("training.total_kimg", "long", "a number"),
        ("training.total_kimg", "nan", "a number"),
        ("training.total_kimg", "-inf", "a number"),
        ("G.use_wscale", "yes", "true or false"),
        ("G.latent_size", "big", "an integer or none"),
        ("dataset.max_label_size", "all", "an integer or full or none"),
        ("schedule.minibatch_dict", "256=14", TABLE),
        ("schedule.minibatch_dict", "256:14.5", TABLE),
        ("schedule.minibatch_dict", "{256:14}", TABLE),
    ],
)
def test_flags_that_do_not_fit_are_refused_naming_field_and_type(name, text, wanted):
    with pytest.raises(ValueError, match=f"`--config.{name}` must be {wanted}. Received: '{text}'"):
        parse(name, text, KINDS[name])


def test_every_field_has_a_type_that_flags_can_express():
    expressible = {
        *["an integer", "a number", "true or false", "text", "an integer or none"],
        *["true or false or none"],
        *[TABLE, "an integer or full or none"],
        *["an integer or all", "a number or none", "he or rms", "paper or mnist1k"],
        *["Tstdeps or Tstd or Tmean or Tsum", "all or flat or group or spatial or none or gpool"],
        *["wgan_gp or lsgan", "fake_scores or D_loss"],
        *["D_update or G_update", "alternating or simultaneous"],
        *["fp32 or tf32 or bf16 or fp16", "auto or on or off", "1080p or 4k or small"],
        *["none or diffaug or ada", "dataset or class"],
    }
    assert {describe(kind) for kind in KINDS.values()} == expressible


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training.total_kimg": 0}, "`total_kimg` must be above 0"),
        ({"training.total_kimg": float("nan")}, "`total_kimg` must be above 0. Received: nan"),
        ({"training.total_kimg": float("inf")}, "`total_kimg` must be above 0. Received: inf"),
        ({"training.network_snapshot_ticks": 0}, "`network_snapshot_ticks` must be above 0"),
        ({"training.picture_budget_mb": 0}, "`picture_budget_mb` must be above 0"),
        ({"training.minibatch_repeats": 0}, "`minibatch_repeats` must be at least 1"),
        ({"training.D_repeats": 0}, "`D_repeats` must be at least 1"),
        ({"schedule.num_gpus": 0}, "`num_gpus` must be at least 1"),
    ],
)
def test_impossible_values_are_refused_naming_the_field(change, message):
    with pytest.raises(ValueError, match=message):
        Config().replace(change)


def test_every_field_says_what_it_means():
    names = [name for name, _ in fields(Config())]
    meanings = documentation(Config())
    assert list(meanings) == names
    assert all(isinstance(text, str) and text for text in meanings.values())
