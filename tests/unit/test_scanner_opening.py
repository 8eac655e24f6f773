"""The sources that the settings name, and positions of what has gone meanwhile."""

from pathlib import Path
from typing import Any

from processor.scanning.cooldown import Cooldowns
from processor.scanning.ledger import Totals
from processor.scanning.sources.cri import CriSource
from processor.scanning.sources.docker import DockerSource
from processor.scanning.sources.files import FileSource
from processor.scanning.sources.opening import gone, open_sources
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


def test_pods_that_have_gone_are_told_by_their_positions(tmp_path: Path) -> None:
    (tmp_path / "ns_here_1" / "app").mkdir(parents=True)
    positions = ["cri/ns_here_1/app", "cri/ns_here_1/other", "cri/ns_gone_2/app", "docker/1", "file//x"]
    reads = settings(sources=["cri"], cri_path=str(tmp_path))
    assert gone(reads, positions) == ["cri/ns_here_1/other", "cri/ns_gone_2/app"]
    assert gone(settings(sources=["docker"]), positions) == []
    # A directory that isn't there at all says nothing of the pods: it may be mounted later.
    assert gone(settings(sources=["cri"], cri_path=str(tmp_path / "none")), positions) == []
