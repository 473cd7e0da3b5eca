"""Photos of any kind as upright sRGB pixels."""

from hrlm.photos.isolated import IsolatedOpener
from hrlm.photos.photo import PHOTO_SUFFIXES, Photo, open_photo
from hrlm.photos.raw import RAW_SUFFIXES

__all__ = ["PHOTO_SUFFIXES", "RAW_SUFFIXES", "IsolatedOpener", "Photo", "open_photo"]
