"""Where the project's servers listen."""

import socket
import sys

HOST = "127.0.0.1"


def require_free(port: int, command: str, variable: str) -> None:
    """Ends the process with one sentence if a port on loopback is taken.

    Args:
        port: The port.
        command: The command that needs it.
        variable: The command's variable that sets the port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            sys.exit(
                f"Port {port} is in use: another `{command}` may be running. Stop what listens "
                f"there, or choose another port: {command} {variable}={port + 1}"
            )
