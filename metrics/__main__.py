"""Measures generated images: python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd"""

from pgtf.commands import command_line

if __name__ == "__main__":
    command_line.run("pgtf.commands.metrics_flags", "pgtf.commands.metrics")
