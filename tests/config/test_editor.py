"""The schema that editors read: every option of a group with its meaning, and one sentence for an unknown group."""

import json

import pytest

from fer_lightning.config.editor import print_schema
from fer_lightning.errors import UserError


def test_schema_of_a_group_describes_each_of_its_classes(capsys):
    print_schema("classifier")
    schema = json.loads(capsys.readouterr().out)
    assert schema["title"] == "conf/classifier"
    *ours, own = (part["properties"] for part in schema["anyOf"])
    assert [part["_target_"]["anyOf"][0]["const"].rpartition(".")[2] for part in ours] == [
        *("KNNClassifier", "LinearClassifier", "PrototypeClassifier")
    ]
    assert own["_target_"]["anyOf"][0]["not"]["pattern"] == r"^fer_lightning\."
    assert all(line["description"] for part in ours for line in part.values())
    temperature, by_interpolation = ours[0]["temperature"]["anyOf"]
    assert temperature == {"exclusiveMinimum": 0, "type": "number"}
    assert by_interpolation["pattern"] == r"\$\{"


def test_schema_of_everything_is_closed(capsys):
    print_schema(None)
    schema = json.loads(capsys.readouterr().out)
    assert {"data", "trainer", "optimizer", "seed", "checkpoint"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_unknown_group_is_named_with_the_others():
    with pytest.raises(UserError, match=r"schema colour: there is no such group, use one of .*classifier"):
        print_schema("colour")
