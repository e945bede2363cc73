"""Networks that the flags of generate.py name, and how their files are marked."""

from __future__ import annotations

import argparse

from pgtf.api import loading
from pgtf.api.networks import Networks
from pgtf.commands import generate_runs
from pgtf.export import recipe
from pgtf.export.source import Source
from pgtf.networks import Generator


def networks(args: argparse.Namespace) -> Networks:
    """Loads the networks that --run, --snapshot or --pkl names."""
    if args.pkl is not None:
        net = loading.load_pickle(args.pkl)
    elif args.snapshot is not None:
        net = loading.load_snapshot(args.snapshot)
    else:
        net = loading.load_run(args.run, args.outdir)
    if getattr(args, "lod", None) is None:
        args.warning = net.warning
    else:
        check_lod(args, net.Gs)
        args.warning = generate_runs.lod_warning(net.source, args.lod)
    return net


def source(args: argparse.Namespace) -> Source:
    """Loads the same networks, for what is made of Gs alone."""
    return networks(args).source


def marker(args: argparse.Namespace, source: Source) -> recipe.Marker:
    """Makes what marks the files of a network."""
    return recipe.Marker(args.mark, None if args.mark == "none" else source.sha256)


def lod(args: argparse.Namespace, source: Source) -> float:
    """Returns the level of detail that is generated."""
    return float(source.Gs.lod if args.lod is None else args.lod)


def check_lod(args: argparse.Namespace, Gs: Generator) -> None:
    """Refuses a wrong lod before anything is written."""
    if args.lod is not None:
        Gs.stage(args.lod)
