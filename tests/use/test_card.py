"""The card of a model says where its faces came from and on which terms."""

from dataclasses import replace

from fer_lightning.report.stress import Outcome
from fer_lightning.runs.record import read_record
from fer_lightning.use.bundles import read_checkpoint
from fer_lightning.use.card import write_card


def test_card_of_fer2013_says_what_its_terms_mean(checkpoint):
    _, description = read_checkpoint(checkpoint)
    record = read_record(checkpoint.parent.parent)
    record = replace(record, data="fer2013.csv", leaks="twins", too_good="too good", unscored=1200)
    plain = Outcome("as they are", 0, "", 0.6, 0.5, 0.7, 1.0)
    stress = [plain, *(Outcome("in_fog", n, "", 0.6 / n, 0, 1, 1 / n) for n in (1, 2))]
    card = write_card(description, record, "model.onnx", ["a cost"], stress)
    for words in (
        "| in fog | 60.0, 30.0 |",
        "On average 75.0 % of the accuracy remains.",
        "FER2013's",
        "is not settled",
        "what leaks: twins",
        "8 test faces (a part: 1,200 more were not scored)",
        "**too good**",
        "- a cost",
    ):
        assert words in card
