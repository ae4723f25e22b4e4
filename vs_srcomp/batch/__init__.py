"""Many jobs on a pool of workers, which can be stopped and resumed.

Read `segments` first. `run` submits tasks to a `pool`: `cut` a job into segments, encode each of the `segments`, `join`
them, check the output. `checkpoint` keeps finished work while the job's `identity` is unchanged. Pools are processes of
this machine (`local_pool`) or of a Ray cluster (`ray`).

Pictures are done in one step each: `pictures` notes which are finished, `sequence` numbers them.
"""
