"""What is asked of a student, and is the answer right?

``source`` reads the exercises of a page, ``notebook`` makes the student's and the teacher's
notebook of them, ``checks`` judge answers, ``experiments`` are what exercises change, ``labs`` and
``variants`` what the labs ask of each student, ``contest`` and ``leaderboard`` the contest,
``grading`` grades. Imports only ``helpers``: a course runs where the book's own machinery does not.
"""
