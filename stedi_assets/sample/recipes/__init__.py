"""The recipes of the sample: one module a source, found by its name."""

import pkgutil
from collections.abc import Mapping
from importlib import import_module

from stedi_assets.sample.recipe import Recipe

RECIPES: Mapping[str, Recipe] = {
    module.name: import_module(f"{__name__}.{module.name}").RECIPE
    for module in pkgutil.iter_modules(__path__)
}
