"""The plots, one kind in each module."""
