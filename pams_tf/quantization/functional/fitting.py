"""Weights on a grid with the smallest error of what they compute, in closed form."""

import numpy as np

DAMPING = 1e-2
"""What is added to the diagonal when rounding, relative to its mean: inputs that hardly vary say
little about the weights."""
TRUST = 0.1
"""The same when weights are moved, relative to each entry: how much they keep to the float ones."""
CLIPS = np.linspace(1.0, 0.4, 31)


def fitted_weights(
    weights: np.ndarray, inputs: np.ndarray, cross: np.ndarray, qmax: int, *, per_channel: bool
) -> np.ndarray:
    """Round the weights of a linear map so that its results stay near those of the float map.

    The float map W takes inputs x, the quantized one takes inputs q, which differ from x by
    whatever was quantized before. First the weights move to the least squares solution V of
    V q = W x, held back towards W. Then they are rounded one after the other; those that follow
    take over as much of each rounding error as they can. The bias, which is last, is not rounded.

    Example:
      >>> import numpy as np
      >>> from pams_tf.quantization import functional
      >>> weights = np.array([[3.0], [1.35], [1.35], [0.0]])  # of three inputs, and the bias
      >>> moments = np.eye(4)
      >>> moments[1, 2] = moments[2, 1] = 0.99  # two inputs that are nearly the same
      >>> fitted = functional.fitted_weights(weights, moments, moments, 3, per_channel=True)
      >>> fitted[:3, 0].round(2).tolist()  # the error of one is made up for by the other
      [3.0, 1.0, 2.0]

    Args:
      weights: float64 (K + 1, O), the bias as the last row.
      inputs: float64 (K + 1, K + 1), the sum of q q^T, with 1 as the last entry of q.
      cross: float64 (K + 1, K + 1), the sum of q x^T, likewise.
      qmax: the largest code.
      per_channel: one step per column instead of one for all.

    Returns:
      float64 (K + 1, O). All rows but the last are codes from -qmax to qmax times a step; the
      largest magnitude is qmax times the step, so that `max_abs` finds the same step. A column
      without weights stays so.

    Source: rounding after Frantar et al., "GPTQ", ICLR 2023, Section 3; least squares on the inputs
    of the quantized network after Hubara et al., "Accurate Post Training Quantization with Small
    Calibration Sets", ICML 2021, Section 3, in closed form.
    """
    moved = _moved(weights, inputs, cross)
    silent = ~weights[:-1].any(axis=0)
    moved[:-1, silent] = 0.0
    variances = np.diag(inputs)[:-1]
    hessian = inputs + np.diag([*np.full(len(variances), DAMPING * variances.mean()), 0.0])
    steps = _best_steps(moved[:-1], np.diag(hessian)[:-1], qmax, per_channel)
    rounded = _rounded(moved, _settled(hessian), steps, qmax, per_channel)
    rounded[:-1, silent] = 0.0
    return rounded


def _moved(weights: np.ndarray, inputs: np.ndarray, cross: np.ndarray) -> np.ndarray:
    trust = np.diag([*(TRUST * np.diag(inputs)[:-1]), 0.0])
    return np.linalg.solve(_settled(inputs + trust), cross @ weights + trust @ weights)


def _settled(matrix: np.ndarray) -> np.ndarray:
    """Without the zeros that an input which is always 0 leaves on the diagonal."""
    return matrix + np.eye(len(matrix)) * (1e-9 * np.trace(matrix) / len(matrix) + 1e-30)


def _best_steps(
    weights: np.ndarray, variances: np.ndarray, qmax: int, per_channel: bool
) -> np.ndarray:
    """The step of each column, (O,): the range may clip the largest weights."""
    limits = np.abs(weights).max(axis=0) if per_channel else np.abs(weights).max()
    limits = np.broadcast_to(limits, weights.shape[1:])
    limits = np.where(limits > 0, limits, 1.0)
    errors = []
    for clip in CLIPS:
        steps = clip * limits / qmax
        error = np.clip(np.rint(weights / steps), -qmax, qmax) * steps - weights
        errors.append(variances @ error**2)
    sums = np.stack(errors)
    if not per_channel:
        sums = np.broadcast_to(sums.sum(axis=1, keepdims=True), sums.shape)
    return CLIPS[sums.argmin(axis=0)] * limits / qmax


def _rounded(
    weights: np.ndarray, hessian: np.ndarray, steps: np.ndarray, qmax: int, per_channel: bool
) -> np.ndarray:
    # The largest inputs first, because what follows makes up for them; the bias last.
    order = np.append(np.argsort(-np.diag(hessian)[:-1], kind="stable"), len(hessian) - 1)
    factors = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T
    left = weights[order]
    codes = left[:-1] / steps
    ends = np.abs(codes) == np.abs(codes).max(axis=0 if per_channel else None)
    signs = np.sign(codes)
    for row, factor in enumerate(factors[:-1]):
        wanted = left[row].copy()
        code = np.clip(np.rint(wanted / steps), -qmax, qmax)
        # One weight holds the end of the range, which later ones rely on.
        left[row] = np.where(ends[row], signs[row] * qmax, code) * steps
        left[row + 1 :] -= np.outer(factor[row + 1 :], (wanted - left[row]) / factor[row])
    result = np.empty_like(left)
    result[order] = left
    return result
