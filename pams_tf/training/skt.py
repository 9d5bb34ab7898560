"""Structured knowledge transfer (SKT): how far a student's feature is from its teacher's."""

from typing import Any

import tensorflow as tf

from pams_tf.errors import InputError


def energy_map(feature: Any) -> Any:
    """Where a feature has its energy: the sum over channels of |F|^2, as a map of norm 1.

    Example:
      >>> import numpy as np, pams_tf
      >>> feature = np.zeros((1, 2, 2, 8), np.float32)
      >>> feature[0, 0, 1] = 3.0
      >>> pams_tf.energy_map(feature).numpy()[0]
      array([[0., 1.],
             [0., 0.]], dtype=float32)

    Args:
      feature: (N, H, W, C), of any float type; `with_feature` of a network gives it.

    Returns:
      float32 (N, H, W), each sample's map divided by its Euclidean norm: at least 0, at most 1.

    Raises:
      InputError: the feature does not have four axes.

    Source: Li et al., ECCV 2020, the attention maps of Eq. 6.
    """
    if len(feature.shape) != 4:
        raise InputError(f"a feature of shape {tuple(feature.shape)} is not (N, H, W, C)")
    energy = tf.reduce_sum(tf.square(tf.cast(feature, tf.float32)), axis=-1)
    norm = tf.sqrt(tf.reduce_sum(tf.square(energy), axis=(1, 2), keepdims=True))
    return energy / tf.maximum(norm, 1e-12)


def skt_loss(student_feature: Any, teacher_feature: Any) -> Any:
    """The SKT loss: the distance between the energy maps of two features (paper, Eq. 6).

    The loss is the mean over samples and pixels of the squared difference of the two maps, as in
    the released code.

    Example:
      >>> import numpy as np, pams_tf
      >>> feature = np.ones((1, 4, 4, 8), np.float32)
      >>> float(pams_tf.skt_loss(2 * feature, feature))
      0.0

    Args:
      student_feature, teacher_feature: (N, H, W, C), with the same N, H and W.

    Returns:
      float32 scalar; 0 for features that are equal up to a factor.

    Raises:
      InputError: a feature does not have four axes.

    Source: Li et al., ECCV 2020, Eq. 6.
    """
    return tf.reduce_mean(tf.square(energy_map(student_feature) - energy_map(teacher_feature)))
