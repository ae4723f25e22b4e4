"""Many jobs, in any number of attempts, on a pool of workers."""
