"""Trains and evaluates restoration networks: python -m pgtf.restoration --help"""

from pgtf.commands import command_line

if __name__ == "__main__":
    command_line.prepare()
    from pgtf.commands.restoration import main

    main()
