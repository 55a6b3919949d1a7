"""What starts runs: the jobs, and what of them starts by time, by new files or by a change."""
