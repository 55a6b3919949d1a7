"""Sample data: invented people with the structure of the STEDI data, at any size, from a seed.

People come in cohorts of 956, one for each unit of scale. A cohort has its own hour and its own
random numbers, so cohorts share no timestamp, memory does not grow with the scale, and the first
cohort is the same at every scale. A recipe for each source says how its records are made.
"""
