"""Score a checkpoint again without training: python eval.py checkpoint=logs/.../best.ckpt [option=value ...]."""

from fer_lightning.launch.entry import run
from fer_lightning.launch.eval import main

if __name__ == "__main__":
    run(main, "eval")
