"""HDF5 sources on disks that fail or have no locks."""

import errno
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests import faults

CREATE = "import sys; from pgtf.dataset.sources import hdf5; hdf5.create(*sys.argv[1:])"


def create(folder, environment):
    with h5py.File(folder / "x.h5", "w") as file:
        file["data"] = np.zeros((5, 3, 8, 8), np.uint8)
    return subprocess.run(
        [sys.executable, "-c", CREATE, str(folder / "out"), str(folder / "x.h5")],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


@faults.needs_library
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_read(tmp_path, number):
    done = create(tmp_path, faults.no_locks(number))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "out-r03.tfrecords").exists()


@faults.needs_library
def test_a_disk_that_fails_is_not_called_a_damaged_file(tmp_path):
    done = create(tmp_path, faults.failing(tmp_path / "x.h5", 1, errno.EIO))
    assert done.stderr.splitlines()[-1] == (
        f"OSError: [Errno 5] cannot read {tmp_path / 'x.h5'}: Input/output error"
    )
