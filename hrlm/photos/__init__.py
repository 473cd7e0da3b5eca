"""Photos of any kind as upright sRGB pixels."""

from hrlm.photos.photo import PHOTO_SUFFIXES, Photo, open_photo

__all__ = ["PHOTO_SUFFIXES", "Photo", "open_photo"]
