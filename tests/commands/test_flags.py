"""Help and mistakes are answered before TensorFlow is imported, and mistakes by one line."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from pgtf import installation
from pgtf.commands import generate, generate_flags, train_flags
from pgtf.export import edge

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Runs command lines one after the other, and tells what each printed and imported.
RUN_ALL = """
import contextlib, io, json, runpy, sys

def answer(argv):
    sys.argv = argv
    for name in ("train_flags", "train_config"):  # which keep the flags of the line before
        if sys.modules.pop(f"pgtf.commands.{name}", None):
            delattr(sys.modules["pgtf.commands"], name)
    if argv[0].startswith("benchmarks."):  # Another one may have imported it.
        sys.modules.pop(argv[0], None)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            if argv[0].endswith(".py"):
                runpy.run_path(argv[0], run_name="__main__")
            else:
                runpy.run_module(argv[0], run_name="__main__")
        except SystemExit as end:
            code = end.code
    heavy = {"tensorflow", "keras", "h5py", "scipy", "sklearn", "skimage"} & set(sys.modules)
    return code, out.getvalue(), err.getvalue(), sorted(heavy)

print(json.dumps([answer(argv) for argv in json.load(sys.stdin)]))
"""


def answers(command_lines, setup=""):
    """Runs command lines in a fresh process: -> (code, stdout, stderr, heavy modules) of each."""
    done = subprocess.run(
        [sys.executable, "-c", setup + RUN_ALL],
        cwd=ROOT,
        input=json.dumps([line.split() for line in command_lines]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ENTRY = re.compile(r"^if __name__ == .__main__.:", re.MULTILINE)
FOLDERS = ("benchmarks", "examples", "metrics", "notebooks", "pgtf", "serving", "tests")
BENCHMARKS = [
    path for path in sorted((ROOT / "benchmarks").glob("*.py")) if ENTRY.search(path.read_text())
]
# Processes that the package and the tests start.
NOT_FOR_USERS = {
    "pgtf/distribution/all_reduce_check.py",
    "pgtf/export/self_check.py",
    "pgtf/foreign/jpeg_check.py",
    "tests/foreign/bounded.py",
    "tests/addons/test_reference_values.py",
    "tests/conformance/replicas.py",
    "tests/fuzz/bad_readers.py",
    "tests/training/adapting_replicas.py",
    "tests/training/fed_ahead.py",
    "tests/training/two_logical_gpus.py",
}
HELP = [
    "train.py --help",
    "train.py --helpfull",
    "train.py -h",
    "train.py --list_presets",
    "pgtf --help",
    "pgtf train --help",
    "generate.py --help",
    *(f"generate.py {name} --help" for name in generate_flags.COMMANDS),
    "metrics --help",
    "metrics plot -h",
    "metrics neighbours --help",
    "metrics train_classifier --help",
    "pgtf.restoration --help",
    "pgtf.restoration train --help",
    "pgtf.restoration evaluate --help",
    *(
        f"examples/{name}.py --help"
        for name in ("bands", "digits", "faces", "photographs", "spectrograms")
    ),
    "notebooks/execute.py --help",
    "serving/grpc_client.py --help",
    "serving/rest_client.py --help",
    "tests/bare_install.py --help",
    *(f"tests.{name} --help" for name in ("chaos", "fuzz", "reference.fidelity")),
    *(f"benchmarks.{path.stem} --help" for path in BENCHMARKS),
]


def test_help_is_on_standard_output_with_code_0_and_imports_nothing_heavy():
    for line, (code, out, err, heavy) in zip(HELP, answers(HELP), strict=True):
        assert (code, err, heavy) == (0, "", []), line
        assert len(out.splitlines()) > 5, line


def test_every_program_of_the_checkout_is_among_those_whose_help_is_read():
    names = {line.split()[0].removesuffix(".py").replace(".", "/") for line in HELP}
    known = {f"{name}{end}" for name in names for end in (".py", "/__main__.py")}
    found = {
        str(path.relative_to(ROOT))
        for folder in ("*.py", *(f"{x}/**/*.py" for x in FOLDERS))
        for path in ROOT.glob(folder)
        if ENTRY.search(path.read_text())
    }
    assert found - known - {"dataset_tool.py"} == NOT_FOR_USERS


MISTAKES = {
    "train.py --prset=demo": "unknown flag --prset. Did you mean --preset?",
    "train.py --config.G.fmap_bas=3": "Did you mean --config.G.fmap_base?",
    "train.py --preset=v3-1gpu": "no preset `v3-1gpu`. Did you mean `v2-1gpu`?",
    "train.py --gpus=two": "--gpus=two",
    "train.py --gpus=-1": "--gpus=-1",
    "train.py --precision=fp23": "fp23",
    "train.py --total_kimg=0": "`total_kimg` must be above 0",
    "train.py --config.schedule.minibatch_base=x": "must be an integer",
    "train.py --dataset=/nowhere": "/nowhere: no such dataset folder",
    "train.py --resume_pkl=/nowhere.pkl": "/nowhere.pkl: no such file",
    "train.py --resume_pkl=READNE.md": "READNE.md: no such file. Did you mean README.md?",
    "train.py --dataset=tests/data/faulty": "tests/data/faulty: no such dataset folder. Create",
    "train.py --dataset=docs/imags": "no such dataset folder. Did you mean docs/images?",
    "generate.py images --snapshot=READNE.md": "Did you mean README.md?",
    "metrics --dataset=doc": "doc: no such file. Did you mean docs?",
    "train.py --metrics=fdi": "Did you mean `fid`?",
    "train.py demo": "takes only --flags. Received: demo",
    "train.py docs": "Did you mean --dataset=docs?",
    "train.py --kimg=3": "unknown flag --kimg. Did you mean --total_kimg?",
    "train.py --total-kimg=3": "Did you mean --total_kimg?",
    "train.py --total=3": "unknown flag --total. Did you mean --total_kimg?",
    "train.py --batch=3": "Did you mean --minibatch?",
    "train.py --precision=fp3": "Did you mean fp32?",
    "train.py --dataset=": "--dataset must not be empty",
    "train.py --outdir=README.md": "README.md: `outdir` must be a folder",
    "train.py --resume_pkl=docs": "docs: Is a directory. `resume_pkl` must be a snapshot",
    "train.py --new=maybe": "must be true or false. Received: 'maybe'.",
    "train.py --trunc=1": "a truncation would change nothing",
    "generate.py": "required: COMMAND",
    "generate.py imags": "Did you mean images?",
    "generate.py images --sedes=3": "Did you mean --seeds?",
    "generate.py images --seed 1": "unknown flag --seed. Did you mean --seeds?",
    "generate.py images --network=x": "Did you mean --snapshot?",
    "generate.py images --trunc=0.7": "a truncation would change nothing",
    "generate.py --seeds=1 images": "--seeds must follow the command",
    "generate.py images 3": "too many arguments. Received: 3",
    "generate.py images --snapshot=/nowhere.h5": "/nowhere.h5: no such file",
    "generate.py images --snapshot=docs": "`--snapshot` must be a file",
    "generate.py images --run=docs": "docs: no network snapshot yet",
    "generate.py images --run=docs --latents=/nowhere": "/nowhere: no such file",
    "generate.py grid --outdir=/nowhere": "no run in /nowhere",
    "generate.py images --seeds=0-": "`--seeds` must be like 0-63 or 1,5,7-9. Received: '0-'.",
    "generate.py grid --seeds=1 --random_state=2": "`--seeds` and `--random_state` exclude",
    "generate.py images --num=3": "`--num` and `--indices` need `--random_state`",
    "generate.py images --random_state=3 --num=4 --indices=4": "`--indices` must be in 0 ... 3.",
    "generate.py images --random_state=-1": "`--random_state` must be in 0 ... 4294967295",
    "generate.py project": "required: --target",
    "generate.py export --format=onxx": "Did you mean onnx?",
    "metrics plto": "Did you mean plot?",
    "metrics --metrcs=swd": "Did you mean --metrics?",
    "metrics --metric=swd": "unknown flag --metric. Did you mean --metrics?",
    "metrics --metrics=swt": "Did you mean `swd`?",
    "metrics --reals=/nowhere": "/nowhere: no such file",
    "metrics --run=/nowhere": "no run '/nowhere' in results",
    "metrics --dataset=docker": "docker: no dataset in it",
    "metrics plot --outdir=/nowhere": "no run in /nowhere",
    "metrics neighbours --run=/nowhere": "no run '/nowhere' in results",
    "metrics train_classifier --dataset=docker": "docker: no dataset in it",
    "pgtf trian": "unknown command trian. Did you mean pgtf train?",
    "pgtf explore": "unknown command explore. Did you mean pgtf generate explore?",
    "pgtf create_dmeo": "Did you mean pgtf dataset create_demo?",
    "pgtf xyzzy": "unknown command xyzzy (pgtf --help lists the commands)",
    "pgtf --vers": "unknown flag --vers. Did you mean --version?",
    "pgtf train --kimg=3": "Did you mean --total_kimg? (pgtf train --help lists",
    "pgtf dataset creat_demo x": "Did you mean create_demo? (pgtf dataset --help",
    "pgtf generate grid --outdir=/nowhere": "Train one with pgtf train, or",
    "pgtf metrics --dataset=/nowhere": "/nowhere",
    "pgtf.restoration tran": "Did you mean train?",
    "pgtf.restoration train": "required: --task, --images",
    "pgtf.restoration train --task=sr --images=/nowhere": "/nowhere: no such folder of images",
    "pgtf.restoration evaluate --images=docs --model=/no": "/no: no such restoration network",
    "pgtf.restoration evaluate --images=docs --model=docs": "docs: not a restoration network",
    "dataset_tool.py": "required: COMMAND",
    "dataset_tool.py create_dmo x": "Did you mean create_demo?",
    "dataset_tool.py create_from_image x y": "Did you mean create_from_images?",
    "dataset_tool.py create_demo x --num=32": "Did you mean --num_images?",
    "dataset_tool.py create_demo x --resolutin=32": "Did you mean --resolution?",
    "examples/faces.py": "one of the arguments folder --run is required",
    "examples/faces.py docs": "no PNG files in docs",
    "examples/faces.py --run=/nowhere": "no run '/nowhere' in results",
    "examples/faces.py docs --resolutoin=16": "Did you mean --resolution?",
    "examples/digits.py jugde x": "Did you mean judge?",
    "examples/digits.py judge /nowhere": "no PNG files in /nowhere",
    "examples/digits.py export docs": "docs exists",
    "examples/photographs.py docs": "docs exists",
    "examples/spectrograms.py mak x y": "Did you mean make?",
    "examples/spectrograms.py make /nowhere y": "/nowhere: no .wav files",
    "notebooks/execute.py /nowhere.ipynb": "/nowhere.ipynb",
    "notebooks/execute.py --folder=/nowhere": "/nowhere: no such folder",
    "notebooks/execute.py --foldr=3": "Did you mean --folder?",
    "serving/grpc_client.py demo x": "invalid int value: 'x'",
    "serving/grpc_client.py demo 1 --out=/nowhere": "/nowhere: no such folder",
    "serving/rest_client.py demo 1 --out=/nowhere": "/nowhere: no such folder",
    "serving/rest_client.py demo 1 --uot=.": "unrecognized arguments: --uot=.",
    "tests.chaos --kill=3": "Did you mean --kills?",
    "tests.reference.fidelity devations": "Did you mean deviations?",
    "benchmarks.paper --table=mnist": "Did you mean mnist1k?",
    "benchmarks.paper --table=1 --dataset=/nowhere": "/nowhere: no such dataset folder",
    "benchmarks.conditioning --kmg=3": "Did you mean --kimg?",
    "benchmarks.augmentation_cost --turn=3": "Did you mean --turns?",
    "benchmarks.augmentation_cost --sizes=32": "invalid SIDE:MINIBATCH,... value: '32'",
    "benchmarks.small_data": "required: COMMAND",
    "benchmarks.small_data augmnt": "Did you mean augment?",
    "benchmarks.small_data transfer --targets=32,grey": "unknown `grey`. Did you mean gray?",
    "benchmarks.small_data transfer --outdir=README.md": "README.md: `--outdir` must be a folder.",
    "benchmarks.small_data augment --emoji=/nowhere": "/nowhere: no such file",
    "benchmarks.overfitting --emoji=docs": "docs: no emoji.json in it",
    "benchmarks.overfitting --kinds=adda": "unknown `adda`. Did you mean ada?",
    "benchmarks.overfitting --kmig=3": "Did you mean --kimg?",
    "tests.fuzz --minuts=3": "Did you mean --minutes?",
    "tests.fuzz --minutes=0": "invalid float above 0 value: '0'",
    "tests.fuzz --kinds=NIfTI;DICOMM": "unknown `DICOMM`. Did you mean DICOM?",
    "tests.fuzz --kinds=latents --plain": "--plain leaves none of these --kinds",
    "tests.fuzz --repeat=/nowhere": "/nowhere: no such file",
    "tests.fuzz --repeat=docs": "docs: no finding.json in it",
    "tests.fuzz --out=README.md": "README.md: `--out` must be a folder.",
    "benchmarks.gpu_lowering 64 32 bf166 D x": "Did you mean bf16?",
}


def test_a_mistake_is_one_line_with_code_2_and_imports_nothing_heavy():
    for line, (code, out, err, heavy) in zip(MISTAKES, answers(MISTAKES), strict=True):
        assert (code, out, heavy) == (2, "", []), line
        assert re.fullmatch(r"error: .+\n", err), (line, err)
        assert MISTAKES[line] in err, (line, err)


def test_dataset_tools_help_is_complete_without_tensorflow():
    lines = ["dataset_tool.py --help", "dataset_tool.py create_celebahq --help"]
    for code, out, err, heavy in answers(lines):
        assert (code, err) == (0, "")
        assert "create_" in out
        assert "tensorflow" not in heavy


def test_the_flags_that_most_runs_need_come_first_and_the_configuration_last(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    sections = [section.splitlines() for section in train_flags.usage().split("\n\n")]
    listed = [
        [x[4:].split(":")[0].removeprefix("[no]") for x in lines[1:] if x.startswith("  --")]
        for lines in sections
    ]
    assert listed[0] == train_flags.FIRST
    assert len(listed[0]) == 12
    assert not any(name.startswith("config.") for name in listed[1])
    assert sorted(name for names in listed for name in names) == sorted(train_flags.FLAGS)
    groups = [{name.split(".")[1] for name in names} for names in listed[2:]]
    names = ("dataset", "G", "D", "loss", "schedule", "training", "augment")
    assert groups == [{name} for name in names]


def test_every_sub_command_of_generate_has_a_function_and_every_format_a_writer():
    assert list(generate.COMMANDS) == list(generate_flags.COMMANDS)
    assert generate_flags.FORMATS == ("savedmodel", *edge.FORMATS, "web")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("tensorboard", "train.py --dry_run"),
        ("h5py", "generate.py images"),
        ("keras", "metrics"),
        ("tqdm", "dataset_tool.py create_demo x"),
    ],
)
def test_a_missing_package_is_named_at_once_with_the_remedy(module, line):
    setup = f"import sys; sys.modules[{module!r}] = None\n"
    ((code, out, err, _),) = answers([line], setup)
    assert (code, out) == (2, "")
    assert err == (
        f"error: missing Python packages: {module}. Install what is needed: "
        "python -m pip install -r requirements.txt\n"
    )


def test_a_package_that_only_another_package_imports_is_named_as_well():
    setup = "import sys; sys.modules['tqdm.auto'] = sys.modules['numpy.lib'] = None\n"
    ((code, _, err, _),) = answers(["dataset_tool.py display x"], setup)
    assert code == 2
    assert err.startswith("error: missing Python packages: numpy.lib. ")


def test_the_packages_that_are_looked_for_are_those_of_the_requirements():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = {re.match(r"[\w-]+", line)[0] for line in lines if line[:1].isalpha()}
    assert installation.REQUIRED == listed
