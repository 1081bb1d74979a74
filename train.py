"""Train the expression embedder, test the chosen checkpoint: python train.py [-m] [option=value ...]."""

from fer_lightning.launch.entry import run
from fer_lightning.launch.train import main

if __name__ == "__main__":
    run(main, "train")
