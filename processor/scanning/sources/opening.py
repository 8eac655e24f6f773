"""The sources that the settings name."""

from __future__ import annotations

from collections.abc import Mapping

from processor.scanning.lines import Source
from processor.scanning.own import is_own
from processor.scanning.sources.cri import CriSource
from processor.scanning.sources.docker import DockerSource
from processor.scanning.sources.files import FileSource
from processor.scanning.sources.pods import Asked
from processor.scanning.state import Saved
from processor.settings_scanner import ScannerSettings


def open_sources(settings: ScannerSettings, saved: Saved, ask: Asked | None) -> list[tuple[str, Source]]:
    """Each of scanner.sources with its name. Where a machine is scanned for the first time, what is in its
    logs by then is not read. `ask`: what the API server knows, if it may be asked.
    """
    return [(name, _open(name, settings, saved, ask)) for name in settings.sources]


def _open(name: str, settings: ScannerSettings, saved: Saved, ask: Asked | None) -> Source:
    if name == "cri":
        return CriSource(settings.cri_path, saved.begun, own_logs=settings.own_logs, ask=ask)
    if name == "file":
        return FileSource(settings.files, first=saved.new)
    return DockerSource(settings.docker_socket, _nobody if settings.own_logs else is_own, saved.begun)


def _nobody(labels: Mapping[str, str], image: str, name: str) -> bool:
    del labels, image, name
    return False
