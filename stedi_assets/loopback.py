"""Where the project's servers listen."""

import socket

from stedi_assets.errors import Code, LakehouseError

HOST = "127.0.0.1"


def require_free(port: int, command: str, variable: str) -> None:
    """Makes sure that nothing listens at a port.

    Args:
        port: The port, on loopback.
        command: The subcommand of `stedi`, and target of `make`, that would listen there.
        variable: The variable of `make` that names the port.

    Raises:
        LakehouseError: If something does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise LakehouseError(
                f"Port {port} is in use: another `{command}` may be running. Stop what listens "
                f"there, or choose another port: `stedi {command} --port {port + 1}`, "
                f"`make {command} {variable}={port + 1}`.",
                Code.PORT,
            ) from None
