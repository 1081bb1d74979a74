"""Facial expression recognition with a FaceNet embedder, triplets and k-NN."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# All must be set before the libraries are imported, so they stand here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads steal from each other on shared cores
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # albumentations asks the network for its version on import

if TYPE_CHECKING:
    from fer_lightning.data.augmentation import Augmentation as Augmentation
    from fer_lightning.data.datamodule import FacesDataModule as FacesDataModule
    from fer_lightning.data.faces import Faces as Faces
    from fer_lightning.data.protocols import Partition as Partition
    from fer_lightning.data.readers import read_faces as read_faces
    from fer_lightning.errors import UserError as UserError
    from fer_lightning.models.embedders import FaceNet as FaceNet
    from fer_lightning.models.embedders import TimmEmbedder as TimmEmbedder
    from fer_lightning.models.knn import KNNClassifier as KNNClassifier
    from fer_lightning.models.module import ExpressionModule as ExpressionModule
    from fer_lightning.runs.rebuilding import load_module as load_module
    from fer_lightning.runs.record import read_runs as read_runs
    from fer_lightning.use.model import load_model as load_model

__version__ = "0.2.0"

# The public names and where they are found; each is imported when it is first asked for, and torch no sooner.
PUBLIC = {
    "Augmentation": "data.augmentation",
    "ExpressionModule": "models.module",
    "FaceNet": "models.embedders",
    "Faces": "data.faces",
    "FacesDataModule": "data.datamodule",
    "KNNClassifier": "models.knn",
    "Partition": "data.protocols",
    "TimmEmbedder": "models.embedders",
    "UserError": "errors",
    "load_model": "use.model",
    "load_module": "runs.rebuilding",
    "read_faces": "data.readers",
    "read_runs": "runs.record",
}


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return [*PUBLIC, "__version__"]
