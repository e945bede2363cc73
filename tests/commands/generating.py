"""generate.py in this process, for tests: a command, and the line of one that is refused."""

import numpy as np
import PIL.Image
import pytest

from pgtf.commands import generate, generate_flags


def run(*argv):
    """Runs a command."""
    generate.run(generate_flags.parse(["generate.py", *map(str, argv)]))


def refusal(capsys, *argv):
    """Runs a bad command. Returns the one line that it leaves on standard error."""
    with pytest.raises(SystemExit) as stopped:
        run(*argv)
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def pixels(path):
    """Reads a picture as integers."""
    return np.asarray(PIL.Image.open(path)).astype(int)
