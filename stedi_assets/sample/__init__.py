"""Sample data: invented people with the structure of the real data, at any size, from a seed.

Run as `python -m stedi_assets.sample --scale 1 --out data --seed 7`.

People come in cohorts of 956, one for each unit of scale. A cohort has its own hour and its own
random numbers, so cohorts share no timestamp, memory does not grow with the scale, and the first
cohort is the same at every scale.
"""

from stedi_assets.sample.cohort import Acceleration, Cohort, Customer, Distance, make_cohort
from stedi_assets.sample.files import garble, write_sample
from stedi_assets.sample.recipe import Recipe
from stedi_assets.sample.rows import count_rows

__all__ = [
    "Acceleration",
    "Cohort",
    "Customer",
    "Distance",
    "Recipe",
    "count_rows",
    "garble",
    "make_cohort",
    "write_sample",
]
