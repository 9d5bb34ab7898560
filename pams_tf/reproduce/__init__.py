"""Reproduction of the paper's tables and figures: training, measurement and reports."""
