"""From Keras to the device: conversion to integer TFLite files, and what is in them."""

from pams_tf.export.card import model_card
from pams_tf.export.inspection import inspect
from pams_tf.export.tflite import convert, convert_float, whole_network

__all__ = ["convert", "convert_float", "inspect", "model_card", "whole_network"]
