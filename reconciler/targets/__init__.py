"""Read what is, send one operation."""
