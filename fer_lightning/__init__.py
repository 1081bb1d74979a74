"""Facial expression recognition with a FaceNet embedder, triplets and k-NN."""

import os

# All must be set before the libraries are imported, so they stand here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads steal from each other on shared cores
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations asks the network for its version on import
os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")  # Optuna 2 on SQLAlchemy 1.4, the last that it works with

__version__ = "0.1.0"
