"""Trains a network: python train.py --dataset=datasets/celebahq --preset=v2-8gpus --gpus=8"""

from pgtf.commands import entry

if __name__ == "__main__":
    entry.run("train")
