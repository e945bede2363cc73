"""Images, films and SavedModels of a trained network: python generate.py images --seeds=0-63"""

from pgtf.commands import command_line

if __name__ == "__main__":
    command_line.run("pgtf.commands.generate_flags", "pgtf.commands.generate")
