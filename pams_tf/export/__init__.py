"""From Keras to the device: conversion to integer TFLite files, and what is in them."""

from pams_tf.export.card import model_card
from pams_tf.export.inspection import inspect
from pams_tf.export.runtime import TiledUpscaler
from pams_tf.export.tflite import convert, whole_network
from pams_tf.export.variants import convert_float, convert_ptq

__all__ = [
    "TiledUpscaler",
    "convert",
    "convert_float",
    "convert_ptq",
    "inspect",
    "model_card",
    "whole_network",
]
