"""The optimizers of the weights, Adam and Muon, with a moving average of what they train."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from pams_tf.training.schedules import schedule
from pams_tf.training.settings import RunSettings


@keras.saving.register_keras_serializable("pams_tf")
class AveragingAdam(keras.optimizers.Adam):
    """Adam whose moving average soon forgets the weights of the start.

    Its momentum after t steps is min(ema_momentum, (1 + t) / (10 + t)), as in
    `tf.train.ExponentialMovingAverage`. With Keras' constant one, the average over the first steps
    is mostly initial weights: at 0.999 they weigh 0.14 after 2,000 steps.
    """

    @property
    def ema_momentum(self) -> Any:
        done = ops.cast(self.iterations, "float32")
        return ops.minimum(self._ema_momentum, (1 + done) / (10 + done))

    @ema_momentum.setter
    def ema_momentum(self, value: float) -> None:
        self._ema_momentum = value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ema_momentum": self._ema_momentum}


@keras.saving.register_keras_serializable("pams_tf")
class Muon(AveragingAdam):
    """Muon for the kernels, and Adam for everything else: biases, slopes, learned clips.

    A kernel is seen as the matrix (k * k * C_in, C_out). Its step is the momentum of its gradient,
    with all singular values set to about 1, so that every direction of the kernel learns at the
    same pace. The step is scaled to the root mean square of Adam's, 0.2, and takes the same rates.

    Keras has Muon, too, but gives it two-dimensional variables alone; kernels have four dimensions.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the
    scale is that of Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982).
    """

    MOMENTUM = 0.95
    SCALE = 0.2

    def build(self, variables: Sequence[Any]) -> None:
        """Make the slots, for kernels that of the momentum too; once."""
        if self.built:
            return
        super().build(variables)
        self._kernel_momentums = {
            self._get_variable_index(variable): self.add_variable_from_reference(
                variable, name="kernel_momentum"
            )
            for variable in variables
            if is_matrix(variable.shape)
        }

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of one variable."""
        momentum = self._kernel_momentums.get(self._get_variable_index(variable))
        if momentum is None:
            super().update_step(gradient, variable, learning_rate)
            return
        gradient = ops.cast(gradient, variable.dtype)
        self.assign(momentum, self.MOMENTUM * momentum + gradient)
        matrix = ops.reshape(gradient + self.MOMENTUM * momentum, (-1, variable.shape[-1]))
        step = orthogonalized(matrix) * self.SCALE * max(matrix.shape) ** 0.5
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * ops.reshape(step, variable.shape))


def is_matrix(shape: Sequence[int]) -> bool:
    """Whether a variable of this shape maps several channels to several: no bias, no depthwise."""
    return len(shape) in (2, 4) and min(shape[-2:]) > 1


def orthogonalized(matrix: Any, steps: int = 5) -> Any:
    """About U V^T of a matrix U S V^T: the singular values become 0.7 to 1.2.

    Only values below 0.3 % of the matrix' norm are still on their way up after 5 steps.

    Args:
      matrix: float, shape (M, N).
      steps: Newton-Schulz iterations, each of a polynomial of degree 5.

    Returns:
      Shape (M, N). That of a matrix of zeros is zero.

    Source: Jordan et al. 2024, with the coefficients given there.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = ops.transpose(matrix) if tall else matrix
    x = x / (ops.norm(x) + 1e-7)
    for _ in range(steps):
        square = ops.matmul(x, ops.transpose(x))
        x = 3.4445 * x + ops.matmul(-4.7750 * square + 2.0315 * ops.matmul(square, square), x)
    return ops.transpose(x) if tall else x


KINDS: dict[str, type[AveragingAdam]] = {"adam": AveragingAdam, "muon": Muon}


def optimizer(settings: RunSettings) -> AveragingAdam:
    """The optimizer of the weights that the settings name."""
    return scheduled(KINDS[settings.optimizer], settings, settings.learning_rate)


def scheduled(kind: type[AveragingAdam], settings: RunSettings, rate: float) -> AveragingAdam:
    """An optimizer with the schedule of the settings from `rate`, and Adam as in the paper."""
    averaging = {"use_ema": True, "ema_momentum": settings.ema} if settings.ema else {}
    # A fixed name: otherwise Keras numbers optimizers, which renames the variables in checkpoints.
    return kind(
        schedule(settings, rate),
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        name="adam",
        **averaging,
    )
