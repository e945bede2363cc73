"""Small datasets as tests of the exporter make them."""

from pgtf.dataset.exporter import Options, export
from tests.dataset import loads

JOB = {"command": "test"}


def make(path, num=50, load=loads.load, **arguments):
    settings = {"items": range(num), "num_items": num, "shape": loads.SHAPE, "job": JOB}
    settings["options"] = Options(num_workers=1)
    return export(str(path), load=load, **settings | arguments)


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def interrupted(at, load):
    """A `load` that is interrupted when it meets item `at`, in this process."""

    def load_until(items):
        if at in items:
            raise KeyboardInterrupt
        return load(items)

    return load_until
