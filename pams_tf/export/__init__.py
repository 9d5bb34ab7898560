"""From Keras to the device: integer TFLite files, and what a compiler makes of them."""
