"""Rendered heads whose landmarks are known exactly: for proof, for tests and for training."""
