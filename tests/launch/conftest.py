"""The commands on a trained network use the network of tests/use."""

from tests.use.conftest import checkpoint, drawn, model, onto, page, pictures  # noqa: F401
