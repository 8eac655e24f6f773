"""`tocsin completion`: the scripts are ones that the shells take, and they complete."""

import shutil
import subprocess
from pathlib import Path

import pytest

from processor.cli.main import main
from tests.support.logs import logging_as_before


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the script of each shell."""
    return tmp_path_factory.mktemp("completion")


def script(shell: str, directory: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    with logging_as_before():
        # Nothing that a shell's start should stumble over: a wrong setting is none of its business.
        assert main(["completion", shell], {"TOCSIN_NO__SUCH_SETTING": "1"}) == 0
    out, err = capsys.readouterr()
    assert err == ""
    file = directory / f"tocsin.{shell}"
    file.write_text(out)
    return file


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_takes_the_script(shell: str, scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = script(shell, scripts, capsys)
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here to read it")

    checked = subprocess.run([shell, "-n", file], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("tocsin ru", {"run", "rules"}),
        ("tocsin rules un", {"unmute"}),
        ("tocsin sc", {"scan-rules"}),
        ("tocsin scan-rules t", {"test"}),
        ("tocsin scan-rules apply --dr", {"--dry-run"}),
        ("tocsin rules apply --dr", {"--dry-run"}),
        ("tocsin rules list -o w", {"wide"}),
        ("tocsin completion f", {"fish"}),
        ("tocsin rules apply -f ru", {"rules.yaml", "rules.d"}),
    ],
)
def test_bash_completes(
    typed: str, offered: set[str], tmp_path: Path, scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = script("bash", scripts, capsys)
    (tmp_path / "rules.yaml").touch()
    (tmp_path / "rules.d").mkdir()
    words = typed.split()
    ask = (
        f"source {file}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; COMP_TYPE=63;"
        f" _shtab_tocsin tocsin {words[-1]} {words[-2]}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )

    done = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert {line.rstrip("/") for line in done.stdout.split()} == offered, done.stderr


def test_an_unknown_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as_before():
        assert main(["completion", "tcsh"], {}) == 2
    assert capsys.readouterr().err.count("\n") == 1
