"""What the lessons are made of: questions and quizzes, widgets, grading, and measures that only the lessons and the
bench read.
"""
