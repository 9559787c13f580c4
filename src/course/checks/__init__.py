"""Checks of exercises, one module a subject. Each is a pure function of a student's answer."""
