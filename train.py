"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8"""

from pgtf.commands import command_line

if __name__ == "__main__":
    command_line.prepare()
    from pgtf.commands.train import main

    with command_line.closed_output_ends_quietly():
        main()
