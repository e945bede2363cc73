"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8"""

from pgtf.commands import command_line

if __name__ == "__main__":
    needs = ("tensorboard",)  # tf.summary fails without it, at the end of the first tick.
    command_line.run("pgtf.commands.train_config", "pgtf.commands.train", packages=needs)
