"""Images, films and SavedModels of a trained network: python generate.py images --seeds=0-63"""

from pgtf.commands import command_line

if __name__ == "__main__":
    command_line.prepare()
    from pgtf.commands.generate import main

    with command_line.closed_output_ends_quietly():
        main()
