"""The `run_fn` of TFX's Trainer: from transformed examples to the best model's SavedModel."""

import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from models import checkpoint, domain_classifier, warm_start
from models.architectures.base import MultiDomainModel, create_model
from models.backend.optimizer import RowAdam
from models.checkpoint import TrainingState
from models.columns import Columns
from models.export import export
from models.features import FeatureSpec
from models.grouping import cluster_domains
from models.inputs import Inputs
from models.learning.base import LearningMethod
from models.registry import find, own_settings
from models.served import meaning
from models.settings import LearningSettings, ModelSettings
from models.validation import Validation
from schema import progress

REPORT_SECONDS = 0.5
SAVE_SECONDS = 60  # between saves at outer steps, besides that of every epoch
SAVE_SHARE = 20  # and so many times what a save takes
UNREAD = (
    "the domain classifier and its rows with a pseudo-domain are for nothing: this model reads neither. "
    "The plug-ins isct and sddn do, and the architecture ssctl."
)


def run_fn(fn_args) -> None:
    """Train the model of a config and export it.

    Args:
        fn_args: TFX's FnArgs. `custom_config` holds `log`, `model`, `learning` (each as JSON text) and
            `checkpoints`, the folder for the state of an unfinished training (empty: beside the model);
            with a warm start also `served`, see `models.warm_start.begin`.
    """
    given = Inputs(fn_args)
    rows = (given.train, given.validation)
    model = new_model(given.spec, given.model, given.learning, *rows, given.classifier)
    logs = Path(fn_args.model_run_dir)
    logs.mkdir(parents=True, exist_ok=True)
    made = {"augmented": given.augmented, "pseudo": given.pseudo}
    start = None
    if given.served:
        now = meaning(given.spec, given.log, given.transform)
        start = partial(warm_start.start, served=given.served, settings=given.model, now=now, logs=logs)
    history = train(model, *rows, given.learning, given.work, logs, **made, start=start)
    export(model, given.transform, given.log, fn_args.serving_model_dir)
    (logs / "history.json").write_text(json.dumps(history, indent=1), encoding="utf-8")
    shutil.rmtree(given.work)


def new_model(
    spec: FeatureSpec,
    settings: ModelSettings,
    learning: LearningSettings,
    train: Columns,
    validation: Columns,
    classifier: Path | None = None,
) -> MultiDomainModel:
    """Return a model that is ready to be trained, its domains clustered if the settings ask for that.

    Args:
        spec: the model's inputs. settings, learning: what is trained and how.
        train, validation: rows of the two splits, which the clustering reads.
        classifier: folder of the domain classifier, if any.

    Raises:
        ValueError: the classifier was trained on other vocabularies.
    """
    frozen = classifier and domain_classifier.load(classifier, spec)
    keras.utils.set_random_seed(learning.seed)
    model = create_model(spec, settings, learning.embedding_l2, frozen)
    if settings.domain_groups:
        model.domain_group.assign(cluster_domains(spec, settings, learning, train, validation))
        keras.utils.set_random_seed(learning.seed)
    return model


def train(
    model,
    columns: Columns,
    validation_columns: Columns,
    learning: LearningSettings,
    work: Path,
    logs: Path,
    augmented: Columns | None = None,
    pseudo: Columns | None = None,
    start: Callable[[MultiDomainModel], None] | None = None,
) -> list[dict]:
    """Train a model until it stops getting better, and leave it with its best weights.

    After every epoch the mean AUC over the validation domains decides: a new best is kept, `patience` epochs
    without one end the training. The whole state is saved then, so that a killed training goes on there.

    Args:
        model: a built model. columns, validation_columns: rows of the two splits.
        learning: how to train.
        work: folder of this training's checkpoint.
        logs: folder of the TensorBoard logs.
        augmented: rows made from training rows, if any; what they are for is the method's and `learning`'s.
        pseudo: pseudo-labelled rows (see `models.feeding.load_pseudo`), if any; they are the method's.
        start: gives the model, with all that its method adds, other weights to begin with.

    Returns:
        What was measured in each epoch.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
    """
    method = create_method(model, columns, learning, augmented, pseudo)
    steps = method.steps
    if pseudo is not None and not model.reads_classifier:
        progress.report("Trainer", warning=UNREAD)
    if start:
        start(model)
    validation = Validation(validation_columns, model.spec, learning.min_domain_rows, columns.offsets)
    state = checkpoint.load(work)
    if state is None:
        begun = steps.snapshot()
        state = checkpoint.TrainingState(begun, method.state(), begun)
    else:
        steps.restore(state.state)
        method.load_state(state.method)
    writer = tf.summary.create_file_writer(str(logs))
    while _goes_on(learning, state) or _next_phase(method, state):
        measured = _epoch(method, state, learning.epochs, work) | validation.measure(steps)
        measured |= method.figures() | model.figures()
        if pseudo is not None:
            measured["pseudo_rows"] = pseudo.rows if model.wants_pseudo else 0
        measured["domains_skipped"] = [method.name_of(domain) for domain in sorted(method.skipped)]
        state.history.append(measured)
        _log(writer, measured)
        score = measured["mean_domain_auc"]
        if score is None or score > state.best_score:  # without two classes there is nothing to choose by
            state.best = state.state = []  # they may be large: the old ones go before the new ones come
            state.best_score, state.stale = score or -np.inf, 0
        else:
            state.stale += 1
        state.epoch += 1
        state.phase_epochs += 1
        state.partial = None
        _save(method, state, work)
    method.ended()
    return state.history


def create_method(
    model,
    columns: Columns,
    learning: LearningSettings,
    augmented: Columns | None = None,
    pseudo: Columns | None = None,
) -> LearningMethod:
    """Return the learning method of a config, with the compiled primitives it stands on.

    Args:
        model: a built model. columns: the training rows. learning: how to train.
        augmented, pseudo: see `train`.

    Raises:
        ValueError: unknown method or setting, or one that does not fit the model.
    """
    entry = find("learning", learning.method)
    settings = own_settings(entry, learning.settings)
    optimizer = create_optimizer(learning)
    rows = (columns, augmented, learning.train_on_augmented, pseudo)
    return entry.cls(settings, model, optimizer, learning.batch_size, learning.seed, *rows)


def create_optimizer(learning: LearningSettings) -> keras.optimizers.Optimizer:
    """Return the optimizer that every learning method moves the weights with."""
    return RowAdam(learning.learning_rate)


def _goes_on(learning: LearningSettings, state: TrainingState) -> bool:
    return state.phase_epochs < learning.epochs and state.stale < learning.patience


def _next_phase(method: LearningMethod, state: TrainingState) -> bool:
    """Restore the best epoch, and let a plug-in or a method that has another phase begin it from there."""
    method.steps.restore(state.best)
    changed = not state.told_of_end and method.model.reached(1.0)
    state.told_of_end = True
    if not changed and not method.next_phase():
        return False
    state.phase_epochs = state.stale = 0
    return True


def _save(method: LearningMethod, state: TrainingState, work: Path) -> None:
    state.state = []  # gone before the new one comes
    state.state, state.method = method.steps.snapshot(), method.state()
    state.best = state.best or state.state
    checkpoint.save(state, work)


def _epoch(method: LearningMethod, state: TrainingState, epochs: int, work: Path) -> dict:
    """Train one epoch, or the rest of it, and return its figures, reporting progress on the way."""
    started = reported = saved = time.monotonic()
    save_took = 0.0
    steps_in_all = method.steps_per_epoch()
    if not state.partial:
        method.model.epoch_begins()
        method.model.reached(state.share(epochs))
    rows, loss_sum, seconds_before = state.partial or (0, 0.0, 0.0)
    for trained in method.epoch(state.epoch):
        now = time.monotonic()
        seconds = seconds_before + now - started
        if np.isfinite(trained.loss):  # batches of skipped domains are not counted
            rows += trained.rows
            loss_sum += trained.rows * trained.loss
        part = rows / (steps_in_all * method.batch_size)
        if part < 1:  # what comes with the last row comes with the next epoch
            method.model.reached(state.share(epochs, part))
        if trained.outer and now - saved > max(SAVE_SECONDS, SAVE_SHARE * save_took):
            state.partial = (rows, loss_sum, seconds)
            _save(method, state, work)
            saved = time.monotonic()
            save_took = saved - now
        if now - reported > REPORT_SECONDS:
            reported = now
            step = rows // method.batch_size
            figures = {"step": step, "steps": steps_in_all, "steps_per_s": step / seconds}
            progress.report("Trainer", epoch=state.epoch + 1, loss=trained.loss, **figures)
    seconds = seconds_before + time.monotonic() - started
    return {
        "epoch": state.epoch + 1,
        "phase": method.phase,
        "loss": loss_sum / rows if rows else float("nan"),
        "seconds": round(seconds, 3),
        "samples_per_s": round(rows / seconds),
        "steps": steps_in_all,
    }


def _log(writer, measured: dict) -> None:
    names = ("epoch", "loss", "samples_per_s", "auc", "mean_domain_auc", "major_auc", "minor_auc")
    shown = {name: measured[name] for name in names if measured[name] is not None}
    with writer.as_default(step=measured["epoch"]):
        for name, value in shown.items():
            tf.summary.scalar(name, value)
        for name, auc in measured["domains"].items():
            tf.summary.scalar(f"domain_auc/{name}", auc)
    writer.flush()
    if measured["domains_skipped"]:
        shown["skipped"] = ", ".join(measured["domains_skipped"])
    progress.report("Trainer", validated=True, step=measured["steps"], steps=measured["steps"], **shown)
