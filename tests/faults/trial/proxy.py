"""A network that can be cut: a TCP proxy in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

_CHUNK = 65536
_ANSWER_SECONDS = 10.0


class Proxy:
    """Forwards a port to another one, while it is whole.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, *, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._is_cut = False
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._do(self._listen())

    def cut(self) -> None:
        """End every connection and take no new one."""
        self._do(self._set(is_cut=True, is_flowing=True))

    def stall(self) -> None:
        """Swallow everything: connections are taken, nothing is answered; it arrives when this is healed."""
        self._do(self._set(is_cut=False, is_flowing=False))

    def heal(self) -> None:
        """Be whole again; what was held back arrives now, late."""
        self._do(self._set(is_cut=False, is_flowing=True))

    def close(self) -> None:
        """End the thread."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_SECONDS)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _set(self, *, is_cut: bool, is_flowing: bool) -> None:
        self._is_cut = is_cut
        if is_cut:
            for writer in self._writers:
                writer.transport.abort()
        if is_flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        far_writer = writer
        with contextlib.suppress(OSError):
            if not self._is_cut:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        if self._is_cut or far_writer is writer:  # cut before, or meanwhile; or nobody is there
            writer.transport.abort()
            far_writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    async def _close(self) -> None:
        self._server.close()
        await self._set(is_cut=True, is_flowing=True)
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:  # they end by themselves, now that every connection has
            await asyncio.wait(others, timeout=_ANSWER_SECONDS / 2)
