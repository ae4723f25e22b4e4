"""Many jobs, in any number of attempts, on a pool of workers.

`run` gives tasks to a `pool`: `cut` a job into segments, encode each of the `segments`, `join` them, check the output.
`checkpoint` keeps what is finished, as long as the job's `identity` is unchanged. Pools are processes of this machine
(`local_pool`) or of a Ray cluster (`ray`).
"""
