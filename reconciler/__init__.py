"""Keeps the accounts in a company's apps equal to what its directory or HR system says."""

__version__ = "0.1.0"
