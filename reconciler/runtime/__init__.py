"""Drives: asks the world, lets the core decide, writes down what happened."""
