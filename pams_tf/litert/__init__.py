"""Reads, checks and runs .tflite files with NumPy and LiteRT, without TensorFlow."""
