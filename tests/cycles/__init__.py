"""Whole cycles: real files, a real configuration, a real state, a server that answers."""
