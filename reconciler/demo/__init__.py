"""A sample organisation, with the story that `reconciler demo` tells."""
