"""Trains and evaluates restoration networks: python -m pgtf.restoration --help"""

from pgtf.commands import command_line

if __name__ == "__main__":
    command_line.run("pgtf.commands.restoration_flags", "pgtf.commands.restoration")
