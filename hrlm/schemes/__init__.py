"""Landmark schemes: names, mirror pairs, contours, regions and the normaliser, read from YAML."""

from hrlm.schemes.scheme import Contour, Region, Scheme, builtin_schemes, load_scheme, parse_scheme

__all__ = ["Contour", "Region", "Scheme", "builtin_schemes", "load_scheme", "parse_scheme"]
