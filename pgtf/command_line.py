"""How the scripts report bad input: one line, exit code 2."""

import contextlib
import sys

from absl import flags


@contextlib.contextmanager
def one_line_errors(kinds=(ValueError, OSError)):
    """Turns exceptions of these kinds into one line on standard error and exit code 2."""
    try:
        yield
    except kinds as error:
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def parse_flags(argv):
    """Parses absl flags for `app.run(main, flags_parser=...)`; a bad flag is one line, exit 2."""
    with one_line_errors(flags.Error):
        return flags.FLAGS(argv)
