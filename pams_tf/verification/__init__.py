"""Comparison of a file with the network it was exported from, layer by layer, code by code."""
