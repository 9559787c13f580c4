"""Grades for notebooks that students hand in, whose code is trusted with nothing.

``submissions`` reads what was handed in, ``confined`` runs it in the sandbox and hears what it
answers, ``labs`` says what is asked and judges, ``grade`` adds up, ``report`` writes.
"""
