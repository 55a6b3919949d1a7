"""Where the servers that this project starts listen."""

import socket
import sys

HOST = "127.0.0.1"


def require_free(port: int, command: str, variable: str) -> None:
    """Ends the process in one sentence if something listens at a port.

    Args:
        port: The port, on loopback.
        command: The command that would listen there.
        variable: What of the command names the port.
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
