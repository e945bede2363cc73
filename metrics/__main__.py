"""Measures generated images: python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd"""

from pgtf.commands import entry

if __name__ == "__main__":
    entry.run("metrics")
