"""All commands: python -m pgtf --help"""

from pgtf.commands import entry

if __name__ == "__main__":
    entry.main()
