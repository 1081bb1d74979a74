"""Train the expression embedder, then test the best checkpoint: python train.py [-m] [option=value ...]."""

if __name__ == "__main__":
    from fer_lightning.signals import listen

    listen()  # before the imports that take longer than a Ctrl-C

    from fer_lightning.launch.entry import run

    run("train")
