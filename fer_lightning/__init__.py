"""Facial expression recognition with a FaceNet embedder, triplets and k-NN."""

import os

# Both must be set before the libraries are imported, so they stand here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads steal from each other on shared cores
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations asks the network for its version on import

__version__ = "0.1.0"
