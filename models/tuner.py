"""The `tuner_fn` of TFX's Tuner: trials over a grid, each a training judged on the validation split."""

import hashlib
import json
import math
import time
from pathlib import Path

import keras
import keras_tuner
from keras_tuner.engine.trial import TrialStatus
from tfx.components.tuner.component import TunerFnResult

from models.inputs import Inputs
from models.settings import TuningSettings, with_values
from models.trainer import new_model, train
from schema import progress

SCORE = "mean_domain_auc"


def tuner_fn(fn_args) -> TunerFnResult:
    """Return the search over the grid of a config.

    Args:
        fn_args: TFX's FnArgs; `custom_config` is that of `models.trainer.run_fn`, and `tuning` beside it.
    """
    settings = TuningSettings.model_validate_json(fn_args.custom_config["tuning"])
    return TunerFnResult(GridTuner(Inputs(fn_args), settings), fit_kwargs={})


class BudgetedOracle(keras_tuner.oracles.RandomSearchOracle):
    """Draws combinations at random without repeating one, until trials or minutes are used up.

    Args:
        settings: the budget. space: the values to try.
    """

    def __init__(self, settings: TuningSettings, space: keras_tuner.HyperParameters):
        combinations = math.prod(map(len, settings.grid.values()))
        super().__init__(
            objective=keras_tuner.Objective(SCORE, "max"),
            max_trials=min(settings.trials, combinations),
            seed=settings.seed,
            hyperparameters=space,
            allow_new_entries=False,
        )
        self._ends = math.inf if settings.minutes is None else time.monotonic() + 60 * settings.minutes

    def populate_space(self, trial_id):
        """Return the values of the next trial, or that the search has ended."""
        if self.trials and time.monotonic() > self._ends:  # one trial at least: there must be a best one
            return {"status": TrialStatus.STOPPED, "values": None}
        return super().populate_space(trial_id)


class GridTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Trains one model per trial; a search that was stopped goes on with the trials that are left.

    Args:
        inputs: rows and settings of the training. settings: grid and budget.
    """

    def __init__(self, inputs: Inputs, settings: TuningSettings):
        self._inputs = inputs
        space = keras_tuner.HyperParameters()
        for key, values in settings.grid.items():
            space.Choice(key, [json.dumps(value) for value in values])  # KerasTuner takes no lists
        oracle = BudgetedOracle(settings, space)
        grid = hashlib.sha256(json.dumps(settings.grid).encode()).hexdigest()[:8]
        # A larger budget goes on with the trials there are; another grid begins anew.
        super().__init__(oracle, directory=str(inputs.work), project_name=f"trials-{grid}", overwrite=False)

    def run_trial(self, trial):
        """Train with a trial's values and return the best validation figure of its epochs."""
        values = {key: json.loads(value) for key, value in trial.hyperparameters.values.items()}
        given = self._inputs
        model_settings, learning = with_values(given.model, given.learning, values)
        progress.report("Tuner", trial=int(trial.trial_id) + 1, trials=self.oracle.max_trials)
        keras.utils.clear_session()
        rows = (given.train, given.validation)
        model = new_model(given.spec, model_settings, learning, *rows, given.classifier)
        work = Path(self.get_trial_dir(trial.trial_id))
        made = {"augmented": given.augmented, "pseudo": given.pseudo}
        history = train(model, *rows, learning, work, work / "logs", **made)
        return {SCORE: max(epoch[SCORE] for epoch in history)}

    def load_model(self, trial):
        """Refuse: a trial's model is not kept; the best settings are trained by `mdr run`."""
        raise NotImplementedError("mdr tune keeps settings, not models.")
