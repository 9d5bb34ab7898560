"""Weights trained in PyTorch: which network they are, told from names and shapes, and its model."""
