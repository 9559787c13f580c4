"""The measurements that chapters share: each a stored, pure function of its parameters.

Import each from its own module: a measurement's identity covers all that its module reaches.
"""
