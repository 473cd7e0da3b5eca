"""Landmark file formats, one per module: each reads and writes, and keeps its conventions to itself."""
