"""What is kept beside a published version's manifest: its card, and its Croissant metadata."""

from __future__ import annotations

from collections.abc import Sequence

from stedi_assets import storage
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import Column
from stedi_assets.training import card, croissant
from stedi_assets.training.manifest import Manifest, folder_of
from stedi_assets.training.statistics import Statistics


def write(uri: str, manifest: Manifest, statistics: Statistics, columns: Sequence[Column]) -> None:
    """Writes card.md, card.html and croissant.json of a version, over what is there.

    Args:
        uri: Where the training set is.
        manifest: The version's manifest.
        statistics: Its figures.
        columns: The columns of training_set, as declared.

    Raises:
        LakehouseError: If they cannot be written.
    """
    text = card.markdown(manifest, statistics, columns)
    files = {
        "card.md": text,
        "card.html": card.html(manifest.version, text),
        "croissant.json": croissant.render(manifest, columns),
    }
    folder = storage.open_folder(folder_of(uri, manifest.version))
    with storage_faults(uri):
        for name, content in files.items():
            folder.write(name, content, folder.file(name))
