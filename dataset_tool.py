"""Creates and inspects datasets: python dataset_tool.py create_from_images datasets/cats ~/cats"""

from pgtf.commands import command_line

if __name__ == "__main__":
    command_line.run("pgtf.commands.dataset", "pgtf.commands.dataset", tensorflow=False)
