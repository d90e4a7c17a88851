"""Proof that nothing is lost and nothing is made twice, wherever a process is killed."""
