"""Read what should be."""
