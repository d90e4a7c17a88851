"""Decides, and only decides: no I/O, no clock, no dice, no log, no await."""
