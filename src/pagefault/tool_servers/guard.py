"""The guard between pagefault and a server of tools: it starts the server, and ends it with all that it
started.

Run as a script with a descriptor and a command; the standard streams are the server's. The other end of the
descriptor is held by the process that started the guard: when that ends, however it ends (``kill -9``), the
descriptor is at its end, and the server gets a moment, a signal, and another one. Nothing of pagefault, and
little of Python, is imported. Where there is no ``fork``, it is not used.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_GRACE = 0.3  # seconds from the end of its input to the first signal
_PATIENCE = 1.5  # seconds from the first signal to the last
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG: the signal at the end of the parent
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: what the server leaves behind becomes the guard's own


def main() -> int:
    """Run the command until it or the starting process ends; return its exit code."""
    lifeline, command = int(sys.argv[1]), sys.argv[2:]
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # meant for the process that started us
        signal.signal(each, signal.SIG_IGN)
    _control(_SUBREAPER, 1)
    awake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, _noted)
    signal.set_wakeup_fd(waker)
    try:
        server = subprocess.Popen(
            command,
            start_new_session=True,
            close_fds=True,
            preexec_fn=_default_signals,
        )
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        return 127
    for stream in (0, 1):  # the server's alone: its end is seen by who reads
        os.close(stream)
    code = _watch(server, lifeline, awake)
    _end(server)
    return code


def _noted(_number: int, _frame: object) -> None:
    """The descriptor for signals has a byte then, which ends the waiting."""


def _control(option: int, value: int) -> None:
    """Set an option of this process, on Linux."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _default_signals() -> None:
    _control(_DEATH_SIGNAL, signal.SIGKILL)  # should the guard be killed
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(each, signal.SIG_DFL)


def _watch(server: "subprocess.Popen[bytes]", lifeline: int, awake: int) -> int:
    """Wait until the server has ended, or the process that wants it."""
    while server.poll() is None:
        ready, _, _ = select.select([lifeline, awake], [], [])
        if awake in ready:
            os.read(awake, 4096)
        if lifeline in ready:
            with contextlib.suppress(subprocess.TimeoutExpired):  # its input has ended, too
                return server.wait(_GRACE)
            return 0
    return server.returncode


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End the server's processes: by a signal that they can catch, then by one that they cannot."""
    for sent, patience in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, _PATIENCE)):
        until = time.monotonic() + patience
        _send(server.pid, sent)
        while time.monotonic() < until:
            if not _reaped() and not _is_there(server.pid):
                return
            time.sleep(0.01)
            if sent is signal.SIGKILL:  # those that were started meanwhile
                _send(server.pid, sent)


def _send(group: int, sent: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, sent)
    for child in _children():
        with contextlib.suppress(OSError):
            os.kill(child, sent)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def _children() -> list[int]:
    """The children of this process, as far as the system lists them."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(each) for each in file.read().split()]
    except (OSError, ValueError):
        return []


def _reaped() -> bool:
    """Take what has ended; return whether something goes on."""
    try:
        while True:
            id, _ = os.waitpid(-1, os.WNOHANG)
            if not id:
                return True
    except ChildProcessError:
        return False


if __name__ == "__main__":
    sys.exit(main())
