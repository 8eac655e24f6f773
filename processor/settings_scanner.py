"""The settings of the log scanner: which logs it reads, and how much it makes of them."""

import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from processor.settings_sources import Group, wrong
from processor.settings_values import Count, KafkaName

Source = Literal["docker", "cri", "file"]


class ScannerSettings(Group):
    """The log scanner: where it finds logs, what it remembers, how many events it makes of them."""

    event_topic: KafkaName = Field(
        default="event-log", description="The topic that hits go to: a full name, no prefix is added."
    )
    node: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None,
        description="The name of this machine in events and reports; none is the host's name. Each scanner"
        " needs one of its own.",
    )
    sources: tuple[Source, ...] = Field(
        default=("docker",),
        min_length=1,
        description="Where logs come from: docker (its Engine API), cri (Kubernetes' log files), file.",
    )
    docker_socket: Path = Field(
        default=Path("/var/run/docker.sock"), description="The Docker engine's Unix socket."
    )
    cri_path: Path = Field(
        default=Path("/var/log/pods"), description="Where the kubelet puts the pods' log files."
    )
    files: tuple[str, ...] = Field(
        default=(), description="Plain files to read, as absolute paths or globs; each path is a workload."
    )
    own_logs: bool = Field(
        default=False,
        description="Whether to read the logs of Tocsin's own containers too. A rule that matches what"
        " Tocsin logs about its hits would feed itself.",
    )
    state_directory: Path = Field(
        default=Path("/var/lib/tocsin"),
        description="Where positions in logs and cooldowns are kept, so that a restart loses and repeats"
        " nothing.",
    )
    bucket_rate: Count = Field(
        default=50, description="Events a second that one container may make; more are dropped and counted."
    )
    bucket_burst: Count = Field(default=200, description="Events that one container may make at once.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for source in self.sources:
            if self.sources.count(source) > 1:
                raise wrong("scanner.sources", f"{source} is there twice")
        if "file" in self.sources and not self.files:
            raise wrong("scanner.files", "is needed: sources has file, and no file is named")
        for pattern in self.files:
            if not pattern.startswith("/"):
                raise wrong("scanner.files", f"{pattern} is not an absolute path")
        return self

    @property
    def node_name(self) -> str:
        """scanner.node, else the host's name."""
        return self.node or socket.gethostname()
