"""What is a model worth? Multiple choice, generation, retrieval and probes, item by item."""

LONGEST_ANSWER = 300  # letters of an answer that are kept
