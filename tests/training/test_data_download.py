"""Downloads, from a real server on loopback that behaves as servers do, and worse."""

import hashlib
import http.server
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy.io import savemat

from gannet_training.data import DataError, open_data, svhn
from gannet_training.data.download import Published, download

CONTENT = np.random.RandomState(2).bytes(600_000)


@dataclass
class Behaviour:
    """What the server does.

    Attributes:
        content: what it serves.
        ranges: whether it honours Range.
        cuts: after how many bytes it closes the connection, per request; then it does not any more.
        status: what it answers.
        announces: whether it tells the length.
    """

    content: bytes = CONTENT
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    status: int = 200
    announces: bool = True
    asked: list[str | None] = field(default_factory=list)


class Handler(http.server.BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        given = self.headers.get("Range")
        self.behaviour.asked.append(given)
        start = int(re.fullmatch(r"bytes=(\d+)-", given)[1]) if given and self.behaviour.ranges else 0
        content = self.behaviour.content
        if start and start >= len(content):
            self.send_error(416)
            return
        if self.behaviour.status != 200:
            self.send_error(self.behaviour.status)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.behaviour.announces:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        length = self.behaviour.cuts.pop(0) if self.behaviour.cuts else len(content)
        self.wfile.write(content[start : start + length])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def published(behaviour: Behaviour) -> Iterator[Published]:
    handler = type("Bound", (Handler,), {"behaviour": behaviour})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/files/set.bin"
        yield Published("set.bin", url, len(CONTENT), f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
        server.shutdown()
        thread.join()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_complete_and_has_its_name(tmp_path: Path, published: Published) -> None:
    path = download(published, tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == {"set.bin"}


def test_what_is_there_is_not_fetched_again(
    tmp_path: Path, published: Published, behaviour: Behaviour
) -> None:
    first, second = download(published, tmp_path), download(published, tmp_path)
    assert first == second
    assert len(behaviour.asked) == 1
    assert names(tmp_path) == {"set.bin"}


def test_an_md5_is_checked_too(tmp_path: Path, published: Published) -> None:
    good = replace(published, digest=f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    assert download(good, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("announces", [True, False])
def test_a_broken_transfer_goes_on_where_it_stopped(
    tmp_path: Path, published: Published, behaviour: Behaviour, announces: bool
) -> None:
    behaviour.cuts, behaviour.announces = [100_000, 1, 300_000], announces
    assert download(published, tmp_path).read_bytes() == CONTENT
    assert behaviour.asked == [None, "bytes=100000-", "bytes=100001-", "bytes=400001-"]


def test_a_later_call_goes_on_too(tmp_path: Path, published: Published, behaviour: Behaviour) -> None:
    behaviour.cuts = [250_000, 0]
    with pytest.raises(DataError, match="the server sent nothing after byte 250000 of 600000") as caught:
        download(published, tmp_path)
    assert f"put the file set.bin into {tmp_path} by hand" in str(caught.value)
    assert names(tmp_path) == {".set.bin.part"}
    assert download(published, tmp_path).read_bytes() == CONTENT
    assert behaviour.asked == [None, "bytes=250000-", "bytes=250000-"]
    assert names(tmp_path) == {"set.bin"}


def test_a_server_without_ranges_starts_anew(
    tmp_path: Path, published: Published, behaviour: Behaviour
) -> None:
    behaviour.ranges, behaviour.cuts = False, [250_000]
    assert download(published, tmp_path).read_bytes() == CONTENT


def test_a_transfer_that_was_complete_but_unchecked_is_checked(
    tmp_path: Path, published: Published, behaviour: Behaviour
) -> None:
    (tmp_path / ".set.bin.part").write_bytes(CONTENT)
    assert download(published, tmp_path).read_bytes() == CONTENT
    assert behaviour.asked == []


@pytest.mark.parametrize("rest", [CONTENT[:1000][::-1], CONTENT + b"more"])
def test_a_wrong_rest_of_an_earlier_transfer_does_not_stay(
    tmp_path: Path, published: Published, rest: bytes
) -> None:
    (tmp_path / ".set.bin.part").write_bytes(rest)
    try:
        download(published, tmp_path)
    except DataError as error:
        assert "expected the sha256" in str(error)
        download(published, tmp_path)
    assert (tmp_path / "set.bin").read_bytes() == CONTENT


def test_another_content_is_refused(tmp_path: Path, published: Published, behaviour: Behaviour) -> None:
    behaviour.content = CONTENT[::-1]
    received = hashlib.sha256(CONTENT[::-1]).hexdigest()
    with pytest.raises(DataError, match=f"expected the sha256 {published.digest[7:]}, received {received}"):
        download(published, tmp_path)
    assert names(tmp_path) == set()


def test_a_shorter_content_is_refused(tmp_path: Path, published: Published, behaviour: Behaviour) -> None:
    behaviour.content = CONTENT[:-1]
    with pytest.raises(DataError, match="HTTP Error 416"):
        download(published, tmp_path)
    behaviour.content = CONTENT
    assert download(published, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("announces", [True, False])
def test_no_more_is_taken_than_was_published(
    tmp_path: Path, published: Published, behaviour: Behaviour, announces: bool
) -> None:
    behaviour.content, behaviour.announces = CONTENT * 4, announces
    with pytest.raises(DataError, match="expected 600000 bytes, received more"):
        download(published, tmp_path)
    assert (tmp_path / ".set.bin.part").stat().st_size == 0


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_is_told(tmp_path: Path, published: Published, behaviour: Behaviour, status: int) -> None:
    behaviour.status = status
    with pytest.raises(DataError, match=f"cannot download {published.url}: HTTP Error {status}") as caught:
        download(published, tmp_path)
    assert "\n" not in str(caught.value)


def test_without_a_network_one_line_says_which_file_to_put_where(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/set.bin"
        with pytest.raises(DataError, match="Connection refused") as caught:
            download(Published("set.bin", url, 3, "md5:0"), tmp_path)
    message = str(caught.value)
    assert url in message
    assert f"put the file set.bin into {tmp_path} by hand" in message
    assert "\n" not in message


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, published: Published) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="File exists"):
        download(published, tmp_path / "file")


def test_those_who_want_the_same_file_wait_for_the_first(
    tmp_path: Path, published: Published, behaviour: Behaviour
) -> None:
    together = [threading.Thread(target=download, args=(published, tmp_path)) for _ in range(4)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert len(behaviour.asked) == 1
    assert (tmp_path / "set.bin").read_bytes() == CONTENT
    assert names(tmp_path) == {"set.bin"}


def test_a_known_set_is_downloaded_once(
    tmp_path: Path, published: Published, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.RandomState(3).randint(0, 256, [32, 32, 3, 5]).astype(np.uint8)
    savemat(tmp_path / "made.mat", {"X": images, "y": np.arange(1, 6, dtype=np.uint8)[:, None]})
    behaviour.content = (tmp_path / "made.mat").read_bytes()
    digest = hashlib.sha256(behaviour.content).hexdigest()
    file = Published("train_32x32.mat", published.url, len(behaviour.content), f"sha256:{digest}")
    monkeypatch.setattr(svhn, "_FILE", file)
    monkeypatch.setenv("GANNET_DATA", str(tmp_path / "data"))
    for _ in range(2):
        source = open_data("svhn")
        expected = images.transpose(3, 0, 1, 2) / np.float32(127.5) - 1
        np.testing.assert_allclose(source.fetch(tf.range(5)), expected, atol=1e-6)
    assert len(behaviour.asked) == 1
    assert names(tmp_path / "data" / "svhn") == {"train_32x32.mat"}
