"""Whole folders: which photos, in what order, how they are read ahead, and where their results go."""
