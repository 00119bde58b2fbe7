"""One cell of a quality benchmark, in a process of its own: `python -m pipeline.bench.cell SPEC RESULT`.

A process each, so that peak memory is the cell's own and a crash costs one cell.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from components.domain_evaluator.settings import EvaluationSettings
from models.settings import LearningSettings, ModelSettings
from pipeline.bench.machine import peak_mib
from pipeline.bench.prepare import Prepared
from pipeline.history import exported_epoch
from pipeline.run_folder import read_json
from schema.atomic import write_whole
from schema.base import Settings

KEYS = (
    *("suite", "model", "plugins", "learning", "seed"),
    *("auc", "logloss", "domain_auc", "mean_domain_auc", "major5_auc", "minor10_auc", "minor5_auc"),
    "validation_auc",
    *("by_domain", "seconds", "samples_per_s", "peak_mb", "parameters"),
)


class CellSpec(Settings):
    """What a cell is made of.

    Attributes:
        suite: its name. model, learning: what is trained and how. learning_name: of the method or variant.
        plugin_names: of the plug-ins or variants, in their order.
        evaluation: which domains are judged.
        data: folder of the prepared columns. work: folder for the checkpoint of an unfinished training.
    """

    suite: str
    model: ModelSettings
    learning: LearningSettings
    learning_name: str
    plugin_names: tuple[str, ...]
    evaluation: EvaluationSettings
    data: Path
    work: Path

    @property
    def name(self) -> str:
        """The cell's name, such as `mmoe+d3 joint seed 0`."""
        model = "+".join([self.model.architecture, *self.plugin_names])
        return f"{model} {self.learning_name} seed {self.learning.seed}"


def measure(spec: CellSpec) -> dict:
    """Train one model on the prepared columns and judge it on the test rows.

    Returns:
        The figures under `KEYS`: `validation_auc` is the mean domain AUC of the epoch that was kept, on the
        validation rows: what settings may be chosen by. `by_domain` holds `auc`, `logloss`, `rows` and
        `positives` by domain, `seconds` are those of training alone, `peak_mb` (MiB) is the process's.
    """
    import keras
    import numpy as np

    from models.backend import create_steps
    from models.backend.base import LABEL
    from models.domain_metrics import over_domains, slice_figures
    from models.trainer import new_model, train
    from models.validation import predict

    prepared = Prepared(spec.data)
    features, columns = prepared.load()
    rows, validation, augmented = columns["train"], columns["validation"], columns["augmented"]
    model = new_model(features, spec.model, spec.learning, rows, validation, prepared.classifier)
    places = (spec.work, spec.work / "logs")
    made = {"augmented": augmented, "pseudo": columns["pseudo"]}
    history = train(model, rows, validation, spec.learning, *places, **made)
    trained = rows.rows + (augmented.rows if augmented and spec.learning.train_on_augmented else 0)
    trained += columns["pseudo"].rows if model.wants_pseudo else 0
    test = columns["test"]
    scores = predict(create_steps(model, keras.optimizers.Adam()), test)
    labels = np.asarray(test.arrays[LABEL])
    rules = (spec.evaluation.min_rows, spec.evaluation.min_each_class)
    by_domain = {
        name: slice_figures(labels[first:end], scores[first:end], *rules)
        for name, first, end in zip(features.domains, test.offsets[:-1], test.offsets[1:], strict=False)
    }
    seconds = sum(epoch["seconds"] for epoch in history)
    overall = slice_figures(labels, scores)
    stored = [stack for stacks in model.domain_parameters.stacks for stack in stacks]
    weights = [*model.trainable_variables, *stored]
    return {
        "suite": spec.suite,
        "model": spec.model.architecture,
        "plugins": list(spec.plugin_names),
        "learning": spec.learning_name,
        "seed": spec.learning.seed,
        "auc": overall["auc"],
        "logloss": overall["logloss"],
        **over_domains(by_domain),
        "validation_auc": history[exported_epoch(history) - 1]["mean_domain_auc"],
        "by_domain": by_domain,
        "seconds": round(seconds, 2),
        "search_seconds": round(sum(s["seconds"] for epoch in history for s in epoch.get("searches", ())), 2),
        "samples_per_s": round(trained * len(history) / seconds),
        "peak_mb": round(peak_mib()),
        "parameters": int(sum(np.prod(weight.shape) for weight in weights)),
        "epochs": len(history),
        "threads": int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count(),
    }


def main(spec_file: Path, result_file: Path) -> None:
    """Measure the cell of a spec file and write its figures."""
    spec = CellSpec.model_validate(read_json(spec_file))
    write_whole(result_file, json.dumps(measure(spec), indent=1))
    shutil.rmtree(spec.work)  # measured again, it is trained again


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
