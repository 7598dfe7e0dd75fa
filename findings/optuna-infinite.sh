#!/usr/bin/env bash
# Guess: a trial whose value is infinite is treated like one whose value is NaN: failed, or refused aloud.
# Seen: NaN is FAIL (and optimize goes on without an exception); infinity is COMPLETE. In a study that maximizes, one
#   trial with +inf is the best for ever; in one that minimizes, -inf is.
# Why it matters: a score divided by a spread of zero, or minus the log of zero, gives infinity, and the search then
#   reports that trial's parameters as its result.
# Instead: turn every value that is not finite into NaN, or raise TrialPruned, before the objective returns.
. "$(dirname "$0")/common.sh"

packages optuna==5.0.0
"$python" - <<'PYTHON'
import math
import optuna
from expect import expect

print("optuna", optuna.__version__)
optuna.logging.set_verbosity(optuna.logging.CRITICAL)
values = [0.5, math.nan, math.inf, 0.9]
study = optuna.create_study(direction="maximize")
study.optimize(lambda trial: values[trial.number], n_trials=len(values))
for trial, state in zip(study.trials, ("COMPLETE", "FAIL", "COMPLETE", "COMPLETE")):
    expect(f"state of the trial that returned {values[trial.number]}", trial.state.name, state)
expect("best value", study.best_value, math.inf)
PYTHON
