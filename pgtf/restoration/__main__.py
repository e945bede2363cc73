"""Trains and evaluates restoration networks: python -m pgtf.restoration --help"""

from pgtf.commands import entry

if __name__ == "__main__":
    entry.run("restoration")
