"""Creates and inspects datasets: python dataset_tool.py create_from_images datasets/cats ~/cats"""

from pgtf.commands import entry

if __name__ == "__main__":
    entry.run("dataset")
