"""Weights on a grid with the smallest error of what they compute, in closed form."""

import numpy as np

from pams_tf.quantization.functional.weights import best_clip

DAMPING = 1e-2
"""What is added to the diagonal when rounding, relative to its mean: inputs that hardly vary say
little about the weights."""
TRUST = 0.1
"""The same when weights are moved, relative to each entry: how much they keep to the float ones."""


def fitted_weights(
    weights: np.ndarray,
    inputs: np.ndarray,
    cross: np.ndarray,
    qmax: int,
    *,
    per_channel: bool,
    free_range: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
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
      >>> fitted, _ = functional.fitted_weights(weights, moments, moments, 3, per_channel=True)
      >>> fitted[:3, 0].round(2).tolist()  # the error of one is made up for by the other
      [3.0, 1.0, 2.0]

    Args:
      weights: float64 (K + 1, O), the bias as the last row.
      inputs: float64 (K + 1, K + 1), the sum of q q^T, with 1 as the last entry of q.
      cross: float64 (K + 1, K + 1), the sum of q x^T, likewise.
      qmax: the largest code.
      per_channel: one step per column instead of one for all.
      free_range: whether the range is a number of its own. Otherwise the largest magnitude is qmax
        times the step, so that `max_abs` finds the same step.

    Returns:
      The weights, float64 (K + 1, O): all rows but the last are codes from -qmax to qmax times a
      step; a column without weights stays so. And the range of each column, (O,): qmax times its
      step.

    Source: rounding after Frantar et al., "GPTQ", ICLR 2023, Section 3; least squares on the inputs
    of the quantized network after Hubara et al., "Accurate Post Training Quantization with Small
    Calibration Sets", ICML 2021, Section 3, in closed form.
    """
    moved = _moved(weights, inputs, cross)
    silent = ~weights[:-1].any(axis=0)
    moved[:-1, silent] = 0.0
    variances = np.diag(inputs)[:-1]
    hessian = inputs + np.diag([*np.full(len(variances), DAMPING * variances.mean()), 0.0])
    importance = np.diag(hessian)[:-1]
    limits = best_clip(moved[:-1], qmax, per_channel=per_channel, importance=importance)
    # One weight holds the end of the range where nothing else does.
    magnitudes = np.abs(moved[:-1] / limits)
    ends = magnitudes == magnitudes.max(axis=0 if per_channel else None)
    ends &= not free_range
    rounded = _rounded(moved, _settled(hessian), limits / qmax, qmax, ends)
    rounded[:-1, silent] = 0.0
    return rounded, limits


def _moved(weights: np.ndarray, inputs: np.ndarray, cross: np.ndarray) -> np.ndarray:
    trust = np.diag([*(TRUST * np.diag(inputs)[:-1]), 0.0])
    return np.linalg.solve(_settled(inputs + trust), cross @ weights + trust @ weights)


def _settled(matrix: np.ndarray) -> np.ndarray:
    """Without the zeros that an input which is always 0 leaves on the diagonal."""
    return matrix + np.eye(len(matrix)) * (1e-9 * np.trace(matrix) / len(matrix) + 1e-30)


def _rounded(
    weights: np.ndarray, hessian: np.ndarray, steps: np.ndarray, qmax: int, ends: np.ndarray
) -> np.ndarray:
    # The largest inputs first, because what follows makes up for them; the bias last.
    order = np.append(np.argsort(-np.diag(hessian)[:-1], kind="stable"), len(hessian) - 1)
    factors = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T
    left = weights[order]
    ends, signs = ends[order[:-1]], np.sign(left[:-1])
    for row, factor in enumerate(factors[:-1]):
        wanted = left[row].copy()
        code = np.clip(np.rint(wanted / steps), -qmax, qmax)
        left[row] = np.where(ends[row], signs[row] * qmax, code) * steps
        left[row + 1 :] -= np.outer(factor[row + 1 :], (wanted - left[row]) / factor[row])
    result = np.empty_like(left)
    result[order] = left
    return result
