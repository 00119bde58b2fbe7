"""`mdr models` says what each architecture, plug-in and learning method can be set to."""

import json
from pathlib import Path

import yaml
from typer.testing import CliRunner

from models.registry import find, own_settings
from pipeline import model_table
from pipeline.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_every_setting_is_listed_with_its_default(monkeypatch, tmp_path):
    monkeypatch.setattr(model_table, "create_model", lambda *args, **kwargs: None)  # a minute for all of them
    monkeypatch.setattr(model_table, "describe", lambda model: {"parameters": 1, "multiply_adds": 2})
    answer = CliRunner().invoke(app, ["models", "--json", "--docs", str(tmp_path)], catch_exceptions=False)
    listed = {(row["role"], row["name"]): row for row in json.loads(answer.stdout)}
    assert listed["architecture", "mmoe"]["settings"] == {
        "n_experts": 8,
        "expert_units": [128, 64],
        "tower_units": [32],
        "dropout": 0.2,
    }
    assert listed["plug-in", "dfei"]["settings"] == {"alpha": 0.9, "k": 32}
    assert listed["learning method", "mamdr"]["settings"].keys() >= {"beta", "gamma", "k", "inner_passes"}
    assert listed["learning method", "joint"]["settings"] == {}
    assert model_table.settings_markdown() in (tmp_path / "models.md").read_text(encoding="utf-8")


def test_the_documented_settings_are_those_of_the_code_and_can_be_put_into_a_config():
    shown = PAGE.read_text(encoding="utf-8").split("<!-- settings: begin -->")[1]
    rooms = {"architecture": "architectures", "plug-in": "plugins", "learning method": "learning"}
    rows = [line.strip("| ").split(" | ") for line in shown.splitlines() if line.startswith("| `")]
    for name, role, values in rows:
        entry = find(rooms[role], name.strip("`"))
        default = own_settings(entry, {})
        assert own_settings(entry, yaml.safe_load(values.strip("`"))) == default
        assert yaml.safe_load(values.strip("`")) == default.model_dump(mode="json")
    assert [line for line in model_table.settings_markdown().splitlines() if line not in shown] == []
