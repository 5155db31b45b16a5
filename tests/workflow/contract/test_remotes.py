"""DVC remotes on real servers that the tests start themselves: push, wipe the cache, clone, pull, nothing to do."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import Repository, measure


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_venv(folder: Path, *packages: str, parent: bool) -> Path:
    """An environment with some packages, and with those that run the tests; its folder of programs. Skips if impossible."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if parent:
        site = next((folder / "lib").glob("python*")) / "site-packages"
        (site / "parent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [
        str(folder / "bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *packages,
    ]
    try:
        done = subprocess.run(pip, text=True, capture_output=True, timeout=600)
    except subprocess.TimeoutExpired:
        pytest.skip(f"cannot install {' '.join(packages)} within ten minutes")
    if done.returncode:
        pytest.skip(f"cannot install {' '.join(packages)}: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"


def wait_for(port: int, process: subprocess.Popen, log: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    process.terminate()
    pytest.skip(f"the server does not start: {log.read_text()[-300:]}")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a `dvc` that knows SSH and S3."""
    programs = make_venv(tmp_path_factory.mktemp("plugins") / "venv", "dvc-ssh", "dvc-s3", parent=True)
    (programs / "dvc").write_text(f'#!/bin/sh\nexec "{programs}/python" -m dvc "$@"\n')
    (programs / "dvc").chmod(0o755)
    return programs


@pytest.fixture
def ssh(tmp_path: Path, plugins: Path) -> Iterator[dict[str, str]]:
    """OpenSSH on a high port with keys of its own; settings of the remote."""
    server = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if server is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no OpenSSH server here (Debian: apt-get install openssh-server)")
    if os.geteuid() == 0:
        # Privilege separation of a server started by root.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder, port = tmp_path / "ssh", free_port()
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\n"
    )
    log = folder / "log"
    with open(log, "w") as stream:
        process = subprocess.Popen([server, "-D", "-e", "-f", str(folder / "config")], stderr=stream)
    wait_for(port, process, log)
    yield {
        "url": f"ssh://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/store",
        "keyfile": str(folder / "user"),
    }
    process.terminate()
    process.wait(10)


@pytest.fixture
def s3(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, plugins: Path) -> Iterator[dict[str, str]]:
    """A server that speaks S3; settings of the remote."""
    server = shutil.which("moto_server")
    if server is None:
        programs = make_venv(tmp_path_factory.mktemp("s3") / "venv", "moto[server]", parent=False)
        server = str(programs / "moto_server")
    port, log = free_port(), tmp_path / "s3.log"
    with open(log, "w") as stream:
        process = subprocess.Popen(
            [server, "--host", "127.0.0.1", "--port", str(port)], stdout=stream, stderr=stream
        )
    wait_for(port, process, log)
    url = f"http://127.0.0.1:{port}"
    keys = "aws_access_key_id='key', aws_secret_access_key='secret', region_name='us-east-1'"
    client = f"botocore.session.get_session().create_client('s3', endpoint_url='{url}', {keys})"
    code = f"import botocore.session; {client}.create_bucket(Bucket='uscl')"
    subprocess.run([str(plugins / "python"), "-c", code], check=True, timeout=300)
    yield {
        "url": "s3://uscl/store",
        "endpointurl": url,
        "access_key_id": "key",
        "secret_access_key": "secret",
        "region": "us-east-1",
    }
    process.terminate()
    process.wait(10)


@pytest.fixture
def local(tmp_path: Path, plugins: Path) -> dict[str, str]:
    """A folder, for instance of a network drive."""
    return {"url": str(tmp_path / "store")}


@pytest.mark.parametrize("kind", ["local", "ssh", "s3"])
def test_push_wipe_clone_pull_nothing_to_do(kind, copy, plugins, tmp_path, request, monkeypatch):
    settings = request.getfixturevalue(kind)
    # Proxies of the machine are not for a server on this machine.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    dvc = str(plugins / "dvc")

    def connect(checkout: Repository) -> None:
        """What docs/remotes.md says: the address in Git, secrets in .dvc/config.local."""
        checkout.run(dvc, "remote", "add", "--force", "--default", "store", settings["url"])
        for key, value in settings.items():
            if key != "url":
                checkout.run(dvc, "remote", "modify", "--local", "store", key, value)

    connect(copy)
    with measure(f"`dvc push` to {kind}"):
        copy.run(dvc, "push")
    copy.commit("Remote")
    shutil.rmtree(copy.folder / ".dvc/cache")
    subprocess.run(["git", "clone", "--quiet", str(copy.folder), str(tmp_path / "clone")], check=True)
    clone = Repository(tmp_path / "clone")
    connect(clone)
    with measure(f"`dvc pull` from {kind}"):
        clone.run(dvc, "pull")
    clone.run("snakemake", "--cores", "2", "--touch", "--forceall", "--quiet", "all")
    assert clone.planned() == {}
    assert clone.idle_in_dvc() == "Data and pipelines are up to date."
    assert clone.repro() == {}
    assert "agree" in clone.run("uscl-med3d", "audit")
