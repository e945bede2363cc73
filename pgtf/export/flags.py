"""Flags that several sub-commands of generate.py share."""

from absl.flags import argparse_flags


class Parser(argparse_flags.ArgumentParser):
    """Reports bad flags in one line."""

    def error(self, message):
        self.exit(2, f"error: {message} ({self.prog} --help lists the flags)\n")


def add_command(commands, name, function, summary):
    """Adds a sub-command that calls `function` with the parsed arguments: -> its parser."""
    options = {"help": summary, "description": function.__doc__, "inherited_absl_flags": None}
    p = commands.add_parser(name, **options)
    p.set_defaults(command=function)
    return p


def add_network_flags(p):
    """Adds where the network comes from: -> the group, of which one may be given."""
    network = p.add_mutually_exclusive_group()
    add_run_flags(p, network)
    network.add_argument("--snapshot", help="network-snapshot-NNNNNN.h5 to use instead of a run's")
    network.add_argument("--pkl", help="network pickle of the original release to use instead")
    return network


def add_run_flags(p, group):
    text = "folder of a run, or its number in --outdir (default: the newest)"
    group.add_argument("--run", nargs="?", help=text)
    p.add_argument("--outdir", default="results", help="where runs are (default: %(default)s)")


def add_draw_flags(p, seeds):
    text = f"numbers and ranges, a latent vector for each (default: {seeds})"
    p.add_argument("--seeds", help=text)
    p.add_argument("--random_state", type=int, help="draw latents as the original: NumPy's seed")
    p.add_argument("--num", type=int, help="latents drawn with --random_state (default: 1000)")
    p.add_argument("--indices", help="which of them to use, as --seeds (default: all)")


def add_image_flags(p):
    text = "number or name of the class (default: all in turn)"
    p.add_argument("--class", dest="class_", metavar="CLASS", help=text)
    p.add_argument("--label", help="the label itself, numbers with commas (default: a class)")
    text = "level of detail, 0 = full resolution (default: the network's)"
    p.add_argument("--lod", type=float, help=text)


def add_out(p, text):
    p.add_argument("--out", help=text)
    p.add_argument("--overwrite", action="store_true", help="replace files (default: no)")


def add_fps(p, default):
    text = "frames per second (default: %(default)s)"
    p.add_argument("--fps", type=positive(float), default=default, help=text)


def positive(kind):
    """A type of argument: a number above 0."""

    def parse(text):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    parse.__name__ = f"{kind.__name__} above 0"  # argparse names it in the error
    return parse


def grid_size(text):
    """A type of argument: "3x2" -> (3, 2)."""
    columns, rows = (int(number) for number in text.split("x"))
    if columns < 1 or rows < 1:
        raise ValueError
    return columns, rows


grid_size.__name__ = "COLUMNSxROWS"
