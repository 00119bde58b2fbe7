"""A first try of a SavedModel on a few rows, which says in words why it cannot be evaluated."""

import numpy as np
import tensorflow as tf

SIGNATURE, PROBABILITY = "serving_default", "probability"
SHOWN = 300  # characters of TensorFlow's own message


def unusable(model: str, rows: list[bytes]) -> str | None:
    """Return why a SavedModel cannot answer rows, or None if it can.

    Args:
        model: folder of the SavedModel.
        rows: serialized raw tf.Examples.

    Returns:
        What follows "the model": such as "does not load: ...".
    """
    try:
        signatures = tf.saved_model.load(model).signatures
    except Exception as error:
        return f"does not load: {_shown(error)}"
    if SIGNATURE not in signatures:
        return f"has no signature {SIGNATURE!r}."
    try:
        answer = signatures[SIGNATURE](tf.constant(rows))
    except Exception as error:
        return f"does not answer the test rows: {_shown(error)}"
    if PROBABILITY not in answer:
        return f"answers with {', '.join(answer)}; the output must be {PROBABILITY!r}."
    infinite = np.count_nonzero(~np.isfinite(answer[PROBABILITY]))
    return f"answers {infinite} of {len(rows)} test rows with no finite number." if infinite else None


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:SHOWN]}{'...' if len(text) > SHOWN else ''}"
