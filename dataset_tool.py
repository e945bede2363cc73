"""Creates and inspects datasets: python dataset_tool.py create_from_images datasets/cats ~/cats"""

from pgtf.commands.command_line import closed_output_ends_quietly
from pgtf.commands.dataset import main

if __name__ == "__main__":
    with closed_output_ends_quietly():
        main()
