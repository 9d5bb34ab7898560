"""The plots, one kind per module."""
