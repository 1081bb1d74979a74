"""Options are read from signatures and docstrings, without an import."""

from fer_lightning.config.signatures import resolve, signature


def test_options_of_a_class_have_kind_meaning_and_default():
    described = signature("fer_lightning.models.knn.KNNClassifier")
    assert described.closed
    assert {"k", "candidates", "weights", "temperature", "num_classes", "embedding_size"} == set(described.options)
    assert all(option.meaning and option.required for option in described.options.values())
    assert described.summary.endswith(".")


def test_names_outside_the_package_have_no_signature():
    assert signature("torch.optim.Adam") is None
    assert signature("fer_lightning.models.knn.Nothing") is None


def test_nullable_kinds_are_recognised():
    option = signature("fer_lightning.models.knn.KNNClassifier").options["k"]
    assert resolve(option.kind, option.module).nullable
    option = signature("fer_lightning.models.knn.KNNClassifier").options["candidates"]
    assert resolve(option.kind, option.module).form in ("list", "value")
