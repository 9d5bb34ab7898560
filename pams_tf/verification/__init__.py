"""Is a file the network that was trained? Compared layer by layer, code by code."""
