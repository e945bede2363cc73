"""Measures generated images: python -m metrics --run=results/003-celebahq-v2-8gpus --metrics=swd"""

from pgtf.commands import command_line

if __name__ == "__main__":
    command_line.prepare()
    from pgtf.commands.metrics import main

    with command_line.closed_output_ends_quietly():
        main()
