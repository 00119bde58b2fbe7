"""`mdr tune`: TFX's Tuner over the grid of a config, and the best values as a config of their own."""

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from models.settings import with_values
from pipeline.config import Config
from pipeline.config_errors import ConfigError
from pipeline.run import run
from pipeline.run_folder import RunFolder, read_json
from schema.atomic import write_whole

TUNED = "tuned.yaml"


def tune(config: Config, folder: RunFolder, console: Console) -> dict[str, Any]:
    """Search, print the trials and write `tuned.yaml`; only validation rows are looked at.

    The same command goes on with the trials that are left, and with a larger budget adds to them.

    Args:
        config: `tuning` says what is tried. folder: where everything goes.
        console: where the progress is shown.

    Returns:
        The best values by key.

    Raises:
        ConfigError: a value of the grid is wrong, or the data does not fit; nothing was started.
        RunError: see `pipeline.run.run`.
    """
    check_grid(config)
    outputs = run(config, folder, console, until="Tuner")["Tuner"]["outputs"]
    trials = read_json(Path(outputs["tuner_results"]["uri"]) / "tuner_results.json")
    keys = list(config.tuning.grid)
    table = Table(title="mean domain AUC on the validation split", title_justify="left", box=None)
    for name in ("AUC", *keys):
        table.add_column(name.removeprefix("learning.").removeprefix("model."), justify="right")
    for trial in trials:
        table.add_row(f"{trial['score']:.4f}", *(str(json.loads(trial[key])) for key in keys))
    console.print(table)

    best = {key: json.loads(trials[0][key]) for key in keys}
    model, learning = with_values(config.model, config.learning, best)
    tuned = config.model_copy(update={"model": model, "learning": learning})
    target = folder.root / TUNED
    write_whole(target, yaml.safe_dump(tuned.model_dump(mode="json"), sort_keys=False))
    console.print(
        f"[green]✓[/] {len(trials)} trials; the best is in {target}", highlight=False, soft_wrap=True
    )
    console.print(f"  next: mdr run --config {target} --out RUN", highlight=False, soft_wrap=True)
    return best


def check_grid(config: Config) -> None:
    """Check every value of the grid before any work starts.

    Raises:
        ConfigError: names the key and the value.
    """
    from models.registry import check

    for key, values in config.tuning.grid.items():
        for value in values:
            try:
                model, learning = with_values(config.model, config.learning, {key: value})
                check(model, learning, config.classifier is not None)
            except (ValidationError, ValueError) as error:
                fault = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
                raise ConfigError(f"tuning.grid {key} cannot be {value!r}: {fault}") from None
