"""Images, films and SavedModels of a trained network: python generate.py images --seeds=0-63"""

from pgtf.commands import entry

if __name__ == "__main__":
    entry.run("generate")
