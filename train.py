"""Train the expression embedder, test the chosen checkpoint: python train.py [-m] [option=value ...]."""

if __name__ == "__main__":
    from fer_lightning.signals import listen

    listen()  # before the rest is imported, which takes longer than a Ctrl-C

    from fer_lightning.launch.entry import run
    from fer_lightning.launch.train import main

    run(main, "train")
