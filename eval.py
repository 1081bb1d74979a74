"""Score a checkpoint again without training: python eval.py checkpoint=logs/.../best.ckpt [option=value ...]."""

if __name__ == "__main__":
    from fer_lightning.signals import listen

    listen()  # before the imports that take longer than a Ctrl-C

    from fer_lightning.launch.entry import run

    run("eval")
