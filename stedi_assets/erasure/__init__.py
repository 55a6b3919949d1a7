"""Erasure of people who have withdrawn consent, and on request of anyone's landing records.

The tables follow consent at every run. What is left of a person then is in old versions of the
tables, in their logs, in quarantine and in the landing files.
"""
