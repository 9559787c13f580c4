"""The one sentence that chapter 3 follows, with documents to retrieve and options to choose."""

SENTENCE = "The capital of France is"
DOCUMENTS = (
    "Bread is made from flour, water, salt and yeast.",
    "The capital of a company is the money that it owns.",
    "Cats sleep for most of the day.",
    "Paris is the seat of the French government.",
    "The moon goes around the Earth once a month.",
)
OPTIONS = {"A": "Rome", "B": "Paris", "C": "Madrid", "D": "Berlin"}
LISTED = "\n".join(
    ["Question: What is the capital of France?"]
    + [f"{letter}. {word}" for letter, word in OPTIONS.items()]
    + ["Answer:"]
)
RIGHT = {"document": DOCUMENTS[3], "letter": "B", "word": OPTIONS["B"]}
# what is read, after which text, and how the options are named there
FORMS = {
    "letters": (LISTED, tuple(OPTIONS)),
    "words": (LISTED, tuple(OPTIONS.values())),
    "sentence": (SENTENCE, tuple(OPTIONS.values())),
}
