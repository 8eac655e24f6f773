"""The sources that the settings name."""

from typing import Any

from processor.scanning.cooldown import Cooldowns
from processor.scanning.ledger import Totals
from processor.scanning.sources.cri import CriSource
from processor.scanning.sources.docker import DockerSource
from processor.scanning.sources.files import FileSource
from processor.scanning.sources.opening import open_sources
from processor.scanning.state import Saved
from processor.settings_scanner import ScannerSettings


def settings(**fields: Any) -> ScannerSettings:
    return ScannerSettings.model_validate(fields)


def test_each_source_is_opened_under_its_name() -> None:
    saved = Saved(1, True, {}, Cooldowns(), Totals())
    opened = open_sources(settings(sources=["cri", "file", "docker"], files=["/var/log/*.log"]), saved, None)
    assert [(name, type(source)) for name, source in opened] == [
        ("cri", CriSource),
        ("file", FileSource),
        ("docker", DockerSource),
    ]
