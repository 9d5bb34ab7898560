"""Conversion of Keras networks to integer TFLite files, and how Vela compiles them."""
