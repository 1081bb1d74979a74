"""Claim 5: the exact k-NN of a validation of FER2013 takes 2 seconds of the processor at most.

2,603 queries on 23,645 unit vectors of 128 numbers, as many as FER2013 has validation and training faces, one search
for the largest k of conf/classifier/knn.yaml. Vectors of a trained network lie in clusters: so do these.
"""

import resource

import torch
from harness import Claim, main, seconds
from torch.nn.functional import normalize

from fer_lightning.models.knn import KNNClassifier

CANDIDATES = [5, 15, 30, 60, 120, 200]
SECONDS, MEMORY = 2, 64  # of the processor, MiB


def vectors(count: int) -> torch.Tensor:
    """Return unit vectors (count, 128) in seven clusters."""
    centres = normalize(torch.randn(7, 128), dim=1)
    return normalize(centres[torch.arange(count) % 7] + 0.05 * torch.randn(count, 128), dim=1)


def measure(tiny: bool) -> list[Claim]:
    """Return the claims on time and on memory."""
    torch.manual_seed(0)
    gallery, queries = vectors(9_000 if tiny else 23_645), vectors(130 if tiny else 2_603)
    labels = torch.arange(len(queries)) % 7
    knn = KNNClassifier(None, CANDIDATES, "similarity", 0.1, 7, 128)
    knn.fit(gallery, torch.arange(len(gallery)) % 7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    knn.decide(queries)
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    times = [seconds(lambda: knn.choose(queries, labels)) for _ in range(1 if tiny else 3)]
    ratios = [time / SECONDS for time in times]
    return [
        Claim(5, "k-NN: a validation of FER2013", sorted(times)[len(times) // 2], SECONDS, "s", ratios, 1, "at most"),
        Claim(5, "k-NN: memory beyond the gallery", extra, MEMORY, "MiB", [extra / MEMORY], 1, "at most"),
    ]


if __name__ == "__main__":
    main(measure)
