"""What Linux lets a process without privileges do so that nobody reaches a port of its own.

Each does nothing on other systems, on other processors, and where the kernel or a container's
settings refuse it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import platform
import re
import select
import socket
import struct
import sys

# The numbers of the system calls `seccomp` and `accept4`.
SYSTEM_CALLS = {"x86_64": (317, 288), "aarch64": (277, 242)}
SINCE_KERNEL = (5, 5)  # the first in which a call that was held can go on
PR_SET_NO_NEW_PRIVS = 38  # without which only root may filter system calls
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND = 0xC0502100, 0xC0182101
SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1
NOTIFICATION_BYTES = 80
SO_ATTACH_FILTER = 26

# Instructions of the classic Berkeley packet filter, and what they may return.
LOAD_16_BITS, LOAD_32_BITS, JUMP_IF_EQUAL, RETURN = 0x28, 0x20, 0x15, 0x06
WHOLE_PACKET, NO_PACKET = 0xFFFFFFFF, 0
ALLOW, HOLD = 0x7FFF0000, 0x7FC00000


class _Program:
    """A filter in the form that the kernel takes it; its memory lives as long as it does."""

    def __init__(self, load: int, value: int, if_equal: int, otherwise: int) -> None:
        instructions = (
            (load, 0, 0, 0),
            (JUMP_IF_EQUAL, 0, 1, value),
            (RETURN, 0, 0, if_equal),
            (RETURN, 0, 0, otherwise),
        )
        packed = b"".join(struct.pack("=HBBI", *each) for each in instructions)
        self._code = ctypes.create_string_buffer(packed)
        self.header = struct.pack("@HP", len(instructions), ctypes.addressof(self._code))


def hold_accept() -> int | None:
    """Has each `accept4` of this thread, and of those that it starts, wait for `let_accept`.

    Returns:
        The descriptor by which to let them; None where that cannot be had. Once it is closed, they
        fail.
    """
    if sys.platform != "linux" or platform.machine() not in SYSTEM_CALLS:
        return None
    kernel = re.match(r"(\d+)\.(\d+)", platform.release())
    if kernel is None or tuple(map(int, kernel.groups())) < SINCE_KERNEL:
        return None
    seccomp, accept = SYSTEM_CALLS[platform.machine()]
    program = _Program(LOAD_32_BITS, accept, HOLD, ALLOW)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    options = (SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER)
    descriptor = libc.syscall(seccomp, *options, program.header)
    return descriptor if descriptor >= 0 else None


def let_accept(descriptor: int, seconds: float) -> None:
    """Lets the next `accept4` that is held go on, or the one that comes next.

    Args:
        descriptor: What `hold_accept` has returned.
        seconds: How long to wait for it.

    Raises:
        TimeoutError: If there was none.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(seconds * 1000):
        raise TimeoutError
    notification = bytearray(NOTIFICATION_BYTES)
    fcntl.ioctl(descriptor, SECCOMP_IOCTL_NOTIF_RECV, notification)
    [identity] = struct.unpack_from("=Q", notification)
    answer = struct.pack("=QqiI", identity, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE)
    fcntl.ioctl(descriptor, SECCOMP_IOCTL_NOTIF_SEND, answer)


def admit_only(descriptor: int, port: int) -> None:
    """Drops what comes to a TCP socket from any other port than one.

    Args:
        descriptor: The socket's.
        port: The source port of the packets to take.
    """
    if sys.platform != "linux":
        return
    # At its start a packet has its source port.
    program = _Program(LOAD_16_BITS, port, WHOLE_PACKET, NO_PACKET)
    with socket.socket(fileno=os.dup(descriptor)) as end, contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program.header)
