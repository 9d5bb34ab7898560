"""Image pairs: finding them on disk, making LR images, and drawing batches of crops."""
