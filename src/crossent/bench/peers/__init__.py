"""What runs inside a worker process: one module a library. Nothing here but crossent_peer imports crossent.

The folder is loaded as a package of its own (`peers`), also by interpreters that have no crossent: NumPy and the
library that is measured are all that a worker needs.
"""
