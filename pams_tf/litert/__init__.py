"""Read, check and run .tflite files with NumPy and LiteRT; TensorFlow is not needed."""
