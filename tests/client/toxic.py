"""A proxy before a server that does to connections what networks do."""

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Final, Literal, TypeAlias

Toxin: TypeAlias = Literal["none", "delay", "reset", "reset_later", "silence", "stop_later", "slow_start"]

DELAY: Final = 0.05
START: Final = 1.0
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: a RST in place of a FIN


class ToxicProxy:
    """Listens on a port of its own and passes bytes to a server, poisoned by `toxin`.

    Attributes:
        toxin: "delay" holds back every piece of an answer; "reset" resets each connection at once,
            "reset_later" in the middle of an answer; "silence" accepts connections and does nothing, as a
            half-open one; "stop_later" falls silent in the middle of an answer; "slow_start" takes its time
            before it passes anything on.
        target: Its address.
    """

    def __init__(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        self.toxin: Toxin = "none"
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._muted: set[socket.socket] = set()
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # to close it wakes nobody
        self._accepting.join()
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Resets every connection that is open now."""
        while self._sockets:
            _reset(self._sockets.pop())

    def mute(self) -> None:
        """Lets every connection that is open now fall silent, for ever and without a word; new ones work."""
        self._muted.update(self._sockets)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            if self.toxin == "reset":
                _reset(client)
            elif self.toxin != "silence":
                if self.toxin == "slow_start":
                    time.sleep(START)
                try:
                    server = socket.create_connection(self._server)
                except OSError:
                    _reset(client)
                    continue
                self._sockets.append(server)
                for source, sink, poisoned in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pass, args=(source, sink, poisoned), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, poisoned: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if source in self._muted:
                    continue
                if poisoned and len(data) > 200:  # an answer, and no mere frame of settings
                    if self.toxin == "stop_later":
                        sink.sendall(data[:100])
                        return
                    if self.toxin == "reset_later":
                        sink.sendall(data[:100])
                        _reset(sink)
                        return
                if poisoned and self.toxin == "delay":
                    time.sleep(DELAY)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):  # whoever waits in `recv` wakes
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RD)
    connection.close()
