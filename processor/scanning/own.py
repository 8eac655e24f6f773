"""Which containers are Tocsin's own. A rule that matches what Tocsin logs would feed itself. Pure.

A container counts as one of Tocsin's if any of these says so:
- a label or annotation `app.kubernetes.io/name` or `org.opencontainers.image.title` that is `tocsin` (the
  chart sets the first, the image the second, which Docker shows as a label of each of its containers);
- its image's name, without registry, tag and digest, is `tocsin`;
- its own name is `tocsin`, or that with a role: `tocsin-scanner`. Where only a log file's path is known,
  this is all there is to tell by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_PRODUCT: Final = "tocsin"
_LABELS: Final = ("app.kubernetes.io/name", "org.opencontainers.image.title")
_ROLES: Final = ("matcher", "sender", "admin", "scanner", "all")
_NAMES: Final = frozenset({_PRODUCT, *(f"{_PRODUCT}-{role}" for role in _ROLES)})


def is_own(labels: Mapping[str, str], image: str, name: str) -> bool:
    """Whether this container runs Tocsin, by its labels and annotations, image and name ("" if unknown)."""
    return (
        any(labels.get(label) == _PRODUCT for label in _LABELS)
        or _image_name(image) == _PRODUCT
        or name in _NAMES
    )


def _image_name(image: str) -> str:
    """`tocsin` of `registry:5000/team/tocsin:1.2@sha256:…`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]
