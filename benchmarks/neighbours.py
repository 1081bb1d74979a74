"""Claim 5: exact k-NN takes less time than the flat index of faiss-cpu (pip install faiss-cpu, the extra bench).

7,066 queries on 28,821 unit vectors of 128 numbers, as many as FER2013 has held-out and training faces, k = 30, one
thread. Ours orders ties by a rule, faiss as they come. Vectors of a trained network lie in clusters: so do these.
"""

import resource
from importlib.util import find_spec

import torch
from harness import Claim, compare, main, seconds
from torch.nn.functional import normalize

from fer_lightning.models.knn import KNNClassifier

K = 30


def vectors(count: int) -> torch.Tensor:
    """Return unit vectors (count, 128) in seven clusters."""
    centres = normalize(torch.randn(7, 128), dim=1)
    return normalize(centres[torch.arange(count) % 7] + 0.05 * torch.randn(count, 128), dim=1)


def measure(tiny: bool) -> list[Claim]:
    """Return the claims on time, over faiss and over a plain search, and on memory."""
    torch.manual_seed(0)
    gallery, queries = vectors(9_000 if tiny else 28_821), vectors(130 if tiny else 7_066)
    rounds = 1 if tiny else 3
    knn = KNNClassifier(K, [], "uniform", 0.1, 7, 128)
    knn.fit(gallery, torch.arange(len(gallery)) % 7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    knn(queries)
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    claims = [Claim(5, "k-NN: memory beyond the gallery", extra, 64, "MiB", [extra / 64], 1, "at most")]

    def ours() -> float:
        return seconds(lambda: knn(queries))

    def float64() -> float:
        return seconds(lambda: [(chunk.double() @ gallery.double().T).topk(K) for chunk in queries.split(128)])

    claims.append(compare(5, "k-NN over the search in float64", ours, float64, "s", 0.5, "at most", rounds))
    if find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)
        index = faiss.IndexFlatIP(128)
        index.add(gallery.numpy())
        asked = queries.numpy()
        name = "k-NN over faiss-cpu's flat index"
        claims.append(
            compare(5, name, ours, lambda: seconds(lambda: index.search(asked, K)), "s", 0.8, "at most", rounds)
        )
    return claims


if __name__ == "__main__":
    main(measure)
