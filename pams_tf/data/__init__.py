"""Pairs of images: where they lie, how LR is made, and batches of crops."""
