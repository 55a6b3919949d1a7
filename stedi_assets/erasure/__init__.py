"""Erasure: people who have left are taken out of the past too, and on request of landing.

The tables themselves follow consent at every run. What is left of a person then is in older
versions, in their logs, in quarantine and in the landing files.
"""
